"""Keys in Redis, which all processes of a service share."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.idempotency.errors import IdempotencyUnavailableError
from fastapi_baseline.idempotency.store import Record, StoredResponse

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

# A hash for each key: `fingerprint`, and `token` until there is a `response`. The command may be
# sent again after its reply was lost, so whoever holds the key already gets it.
_CLAIM = """
local held = redis.call('HMGET', KEYS[1], 'fingerprint', 'token', 'response')
if not held[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[2], 'token', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return false
end
if held[2] == ARGV[1] then
  return false
end
return {held[1], held[3]}
"""
_COMPLETE = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'token')
redis.call('HSET', KEYS[1], 'response', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""
_RELEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
"""
# A number in the names: a version that keeps something else does not read what this one wrote.
_FORMAT = "1"

_Script = Callable[..., Awaitable[Any]]


class RedisIdempotencyStore:
    """An `IdempotencyStore` in Redis; each method is one command.

    It needs `noeviction` or a `volatile-*` policy with room to spare: a response that Redis evicts
    is forgotten. The client must give bytes (`decode_responses=False`, which is the default).
    """

    def __init__(self, client: Redis, *, namespace: str = "service") -> None:
        """Keep keys apart from those of other services by `namespace`."""
        self._prefix = f"idempotency:{_FORMAT}:{namespace}:"
        self._claim: _Script = client.register_script(_CLAIM)
        self._complete: _Script = client.register_script(_COMPLETE)
        self._release: _Script = client.register_script(_RELEASE)

    async def claim(
        self, key: str, *, token: str, fingerprint: str, lock_timeout: timedelta
    ) -> Record | None:
        """Give the key to the holder of `token`, or return what is known of it.

        Raises:
            IdempotencyUnavailableError: If Redis does not answer.
        """
        found = await self._run(self._claim, key, token, fingerprint, _milliseconds(lock_timeout))
        if found is None:
            return None
        known, response = found
        return Record(
            fingerprint=known.decode("ascii"),
            response=StoredResponse.from_bytes(response) if response else None,
        )

    async def complete(
        self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
    ) -> bool:
        """Remember the response, and return whether the key was still the caller's.

        Raises:
            IdempotencyUnavailableError: If Redis does not answer.
        """
        value = response.to_bytes()
        done = await self._run(self._complete, key, token, value, _milliseconds(lifetime))
        return bool(done)

    async def release(self, key: str, *, token: str) -> None:
        """Forget the key, if it is the caller's and has no response.

        Raises:
            IdempotencyUnavailableError: If Redis does not answer.
        """
        await self._run(self._release, key, token)

    async def _run(self, script: _Script, key: str, *arguments: str | bytes | int) -> Any:
        try:
            return await script(keys=[self._prefix + key], args=arguments)
        except (RedisError, OSError) as error:
            raise IdempotencyUnavailableError(retry_after=timedelta(seconds=1)) from error


def _milliseconds(duration: timedelta) -> int:
    # PEXPIRE with zero would delete the key at once.
    return max(1, round(duration.total_seconds() * 1000))
