"""Places of running requests in Redis, which all processes of a service share."""

from datetime import timedelta

from fastapi_baseline.clock import Clock
from fastapi_baseline.rate_limiting.concurrency import ConcurrencyPolicy
from fastapi_baseline.rate_limiting.redis_script import RedisScript
from fastapi_baseline.redis import GuardedRedis, KeySpace

# A sorted set for each caller: tokens, by the microsecond at which their leases are over.
_PREPARE = """
local second, microsecond = tonumber(ARGV[2]), tonumber(ARGV[3])
if not second then
  local time = redis.call('TIME')
  second, microsecond = tonumber(time[1]), tonumber(time[2])
end
local now = second * 1000000 + microsecond
local token, lease = ARGV[1], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))

local function begin()
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), token)
  local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  local duration = math.ceil((tonumber(latest[2]) - now) / 1000) + 2
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', duration))
end
"""
_ACQUIRE = f"""{_PREPARE}
local used, quota = redis.call('ZCARD', KEYS[1]), tonumber(ARGV[5])
if redis.call('ZSCORE', KEYS[1], token) then
  used = used - 1
elseif used >= quota then
  return -1
end
begin()
return math.max(0, quota - used - 1)
"""
_RENEW = f"""{_PREPARE}
if not redis.call('ZSCORE', KEYS[1], token) then
  return 0
end
begin()
return 1
"""


class RedisLeaseStore:
    """A `LeaseStore` in Redis; each method is one command, and time is what its server says."""

    def __init__(
        self, guard: GuardedRedis, *, namespace: str = "service", clock: Clock | None = None
    ) -> None:
        """Keep places apart from those of other services by `namespace`.

        A test may give the `clock` by which leases shall be over instead of the server's.
        """
        self._guard = guard
        self._keys = KeySpace("concurrency", namespace=namespace)
        self._clock = clock
        self._acquire = RedisScript(guard, _ACQUIRE)
        self._renew = RedisScript(guard, _RENEW)

    async def acquire(self, policy: ConcurrencyPolicy, key: str, token: str) -> int | None:
        """Give a place to `token`, and return how many are left; `None` if there is none to give.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        keys, args = [self._keys.key(key, policy.name)], self._describe(policy, token)
        left: int = await self._acquire.run(keys, [*args, str(policy.quota)])
        return None if left < 0 else left

    async def renew(self, policy: ConcurrencyPolicy, key: str, token: str) -> bool:
        """Begin the lease anew, and return whether the token still had its place.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        keys, args = [self._keys.key(key, policy.name)], self._describe(policy, token)
        return bool(await self._renew.run(keys, args))

    async def release(self, policy: ConcurrencyPolicy, key: str, token: str) -> None:
        """Free the place of `token`, if it has one.

        Raises:
            RedisUnavailableError: If Redis does not answer in time.
        """
        name = self._keys.key(key, policy.name)
        await self._guard.run(lambda: self._guard.client.zrem(name, token))

    def _describe(self, policy: ConcurrencyPolicy, token: str) -> list[str]:
        lease = str(policy.lease // timedelta(microseconds=1))
        if self._clock is None:
            return [token, "", "", lease]
        now = int(self._clock.monotonic() * 1_000_000 + 0.5)
        return [token, str(now // 1_000_000), str(now % 1_000_000), lease]
