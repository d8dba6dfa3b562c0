"""What signing in with a provider remembers, in Redis, which all processes of a service share.

A value is a hash, and a group is a set of keys. All keys are in one slot of a cluster, since scripts
have several.

    v: the value    n: its version    x: the microsecond in which it is over    g: its groups, as JSON
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.login.store import Stored
from fastapi_baseline.auth.sessions.errors import SessionsUnavailableError
from fastapi_baseline.auth.sessions.records import to_microseconds
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.redis import KeySpace

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

_TIMEOUT = timedelta(seconds=1)
# Keys outlive what is in them by a bit: when a value is over is decided by the clock of the service.
_SLACK_MS = 60_000
_TAG = "all"

_FORGET = """
local function forget(entry, key, groups)
  for _, group in ipairs(cjson.decode(groups)) do
    redis.call('SREM', group, key)
  end
  redis.call('DEL', entry)
end
"""
_PROLONG = """
local function prolong(groups, life)
  for _, group in ipairs(cjson.decode(groups)) do
    if redis.call('PTTL', group) < tonumber(life) then
      redis.call('PEXPIRE', group, life)
    end
  end
end
"""
# Key: the value. Arguments: its key, value, now, over (microseconds), milliseconds to live, groups.
_ADD = f"""
{_FORGET}{_PROLONG}
local held = redis.call('HMGET', KEYS[1], 'x', 'g')
if held[1] then
  if tonumber(ARGV[3]) < tonumber(held[1]) then
    return 0
  end
  forget(KEYS[1], ARGV[1], held[2])
end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'n', 1, 'x', ARGV[4], 'g', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
for _, group in ipairs(cjson.decode(ARGV[6])) do
  redis.call('SADD', group, ARGV[1])
end
prolong(ARGV[6], ARGV[5])
return 1
"""
# Key: the value. Argument: now.
_GET = """
local held = redis.call('HMGET', KEYS[1], 'v', 'n', 'x')
if not held[1] or tonumber(ARGV[1]) >= tonumber(held[3]) then
  return false
end
return {held[1], held[2]}
"""
# Key: the value. Arguments: value, version, now, over (microseconds), milliseconds to live.
_REPLACE = f"""
{_PROLONG}
local held = redis.call('HMGET', KEYS[1], 'n', 'x', 'g')
if not held[1] or held[1] ~= ARGV[2] or tonumber(ARGV[3]) >= tonumber(held[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'v', ARGV[1], 'n', ARGV[2] + 1, 'x', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
prolong(held[3], ARGV[5])
return 1
"""
# Key: the value. Arguments: its key, now, version or nothing.
_REMOVE = f"""
{_FORGET}
local held = redis.call('HMGET', KEYS[1], 'v', 'n', 'x', 'g')
if not held[1] or (ARGV[3] ~= '' and ARGV[3] ~= held[2]) then
  return false
end
forget(KEYS[1], ARGV[1], held[4])
if tonumber(ARGV[2]) >= tonumber(held[3]) then
  return false
end
return held[1]
"""
# Key: the group. Arguments: prefix of values, now.
_LIST = """
local found = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local over = redis.call('HGET', ARGV[1] .. key, 'x')
  if over and tonumber(ARGV[2]) < tonumber(over) then
    found[#found + 1] = key
  elseif not over then
    redis.call('SREM', KEYS[1], key)
  end
end
return found
"""
_Script = Callable[..., Awaitable[Any]]


class RedisLoginStore:
    """A `LoginStore` in Redis; each method is one command.

    It waits for Redis for `timeout` and no longer, and cannot do without. Redis must not evict what
    is in it: users sign in again whose tokens it evicts. The client must give bytes
    (`decode_responses=False`, which is the default).
    """

    def __init__(
        self,
        client: Redis,
        *,
        namespace: str = "service",
        timeout: timedelta = _TIMEOUT,
        clock: Clock | None = None,
    ) -> None:
        """Keep values apart from those of other services by `namespace`."""
        self._clock = clock or SystemClock()
        self._timeout_s = timeout.total_seconds()
        keys = KeySpace("logins", namespace=namespace)
        self._entries = f"{keys.key(_TAG, 'entry')}:"
        self._groups = f"{keys.key(_TAG, 'group')}:"
        self._add: _Script = client.register_script(_ADD)
        self._get: _Script = client.register_script(_GET)
        self._replace: _Script = client.register_script(_REPLACE)
        self._remove: _Script = client.register_script(_REMOVE)
        self._list: _Script = client.register_script(_LIST)

    async def add_if_absent(
        self, key: str, value: str, *, lifetime: timedelta, groups: Sequence[str] = ()
    ) -> bool:
        """Keep a value for `lifetime`, and return whether there was none.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        now, over, life_ms = self._times(lifetime)
        named = json.dumps([self._groups + group for group in groups])
        return bool(await self._run(self._add, key, key, value, now, over, life_ms, named))

    async def get(self, key: str) -> Stored | None:
        """Return a value; `None` if there is none.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        held = await self._run(self._get, key, self._now())
        return None if held is None else Stored(held[0].decode(), int(held[1]))

    async def take(self, key: str) -> str | None:
        """Remove a value, and return it to one caller only; `None` if there is none.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        held: bytes | None = await self._run(self._remove, key, key, self._now(), "")
        return None if held is None else held.decode()

    async def replace_if(self, key: str, value: str, *, version: int, lifetime: timedelta) -> bool:
        """Keep another value if nobody else has replaced it; return whether that is so.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        now, over, life_ms = self._times(lifetime)
        return bool(await self._run(self._replace, key, value, version, now, over, life_ms))

    async def remove(self, key: str, *, version: int | None = None) -> bool:
        """Remove a value, if it has still that version; return whether it was there and had.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        wanted = "" if version is None else version
        return await self._run(self._remove, key, key, self._now(), wanted) is not None

    async def list_group(self, group: str) -> Sequence[str]:
        """Return the keys of a group, in no order.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        arguments = self._entries, self._now()
        found: list[bytes] = await self._ask(self._list, self._groups + group, *arguments)
        return [key.decode() for key in found]

    def _now(self) -> int:
        return to_microseconds(self._clock.now())

    def _times(self, lifetime: timedelta) -> tuple[int, int, int]:
        now = self._clock.now()
        life_ms = lifetime // timedelta(milliseconds=1) + _SLACK_MS
        return to_microseconds(now), to_microseconds(now + lifetime), life_ms

    async def _run(self, script: _Script, key: str, *arguments: str | int) -> Any:
        return await self._ask(script, self._entries + key, *arguments)

    async def _ask(self, script: _Script, key: str, *arguments: str | int) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await script(keys=[key], args=arguments)
        except (RedisError, OSError) as error:  # `TimeoutError` is an `OSError`.
            raise SessionsUnavailableError(retry_after=timedelta(seconds=1)) from error
