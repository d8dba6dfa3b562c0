"""Sessions in Redis, which all processes of a service share.

A session is a hash, and the sessions of one owner are a sorted set of their digests, by when they
began. All keys are in one slot of a cluster, since scripts have both.

    r: the record as JSON, as it began     s: the microsecond in which it was last seen
    x: the microsecond in which it is over    o: the key of its owner    i: its id
"""

import asyncio
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.sessions.errors import SessionsUnavailableError
from fastapi_baseline.auth.sessions.records import (
    Owner,
    SessionRecord,
    from_microseconds,
    to_microseconds,
)
from fastapi_baseline.auth.sessions.store import get_touch_interval
from fastapi_baseline.redis import KeySpace

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_MICROSECOND = timedelta(microseconds=1)
_TIMEOUT = timedelta(seconds=1)
# Keys outlive what is in them by a bit: when a session ends is decided by the clock of the service.
_SLACK_MS = 60_000
_TAG = "all"

# Keys: the session, its owner. Arguments: digest, record, seen, over, id, when it began, most
# sessions, milliseconds to live, prefix of sessions, idle timeout, milliseconds that its owner lives.
_ADD = """
local now, idle = tonumber(ARGV[3]), tonumber(ARGV[10])
for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  local held = redis.call('HMGET', ARGV[9] .. digest, 's', 'x')
  if not held[1] or now >= tonumber(held[2]) or now - tonumber(held[1]) >= idle then
    redis.call('DEL', ARGV[9] .. digest)
    redis.call('ZREM', KEYS[2], digest)
  end
end
redis.call('HSET', KEYS[1], 'r', ARGV[2], 's', ARGV[3], 'x', ARGV[4], 'o', KEYS[2], 'i', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[8])
redis.call('ZADD', KEYS[2], ARGV[6], ARGV[1])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[11]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[11])
end
local ended = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1 - tonumber(ARGV[7]))) do
  redis.call('DEL', ARGV[9] .. digest)
  redis.call('ZREM', KEYS[2], digest)
  ended = ended + 1
end
return ended
"""
# Key: the session. Arguments: digest, now, idle timeout, interval (all microseconds), slack.
_FIND = """
local held = redis.call('HMGET', KEYS[1], 'r', 's', 'x', 'o')
if not held[1] then
  return false
end
local now, idle, seen, over = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(held[2]), tonumber(held[3])
if now >= over or now - seen >= idle then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', held[4], ARGV[1])
  return false
end
if now - seen >= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[1], 's', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], math.ceil(math.min(idle, over - now) / 1000) + tonumber(ARGV[5]))
end
return {held[1], held[2]}
"""
# Keys: the session, its new place, its owner. Arguments: digest, new digest, record, seen,
# milliseconds to live.
_REPLACE = """
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 0
end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('HSET', KEYS[2], 'r', ARGV[3], 's', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
local began = redis.call('ZSCORE', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[3], began or ARGV[4], ARGV[2])
return 1
"""
# Key: the session. Argument: digest.
_REMOVE = """
local held = redis.call('HMGET', KEYS[1], 'r', 's', 'o')
if not held[1] then
  return false
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', held[3], ARGV[1])
return {held[1], held[2]}
"""
# Key: the owner. Argument: prefix of sessions.
_LIST = """
local found = {}
for _, digest in ipairs(redis.call('ZREVRANGE', KEYS[1], 0, -1)) do
  local held = redis.call('HMGET', ARGV[1] .. digest, 'r', 's')
  if held[1] then
    found[#found + 1] = held
  else
    redis.call('ZREM', KEYS[1], digest)
  end
end
return found
"""
# Key: the owner. Arguments: prefix of sessions, '=' for the one with the id or '~' for all others, id.
_REMOVE_OWN = """
local ended = 0
for _, digest in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  local id = redis.call('HGET', ARGV[1] .. digest, 'i')
  if not id then
    redis.call('ZREM', KEYS[1], digest)
  elseif (id == ARGV[3]) == (ARGV[2] == '=') then
    redis.call('DEL', ARGV[1] .. digest)
    redis.call('ZREM', KEYS[1], digest)
    ended = ended + 1
  end
end
return ended
"""
_Script = Callable[..., Awaitable[Any]]


class RedisSessionStore:
    """A `SessionStore` in Redis; each method is one command.

    It waits for Redis for `timeout` and no longer, and cannot do without. Redis must not evict
    sessions: `noeviction`, or a `volatile-*` policy with room to spare; users sign in again whose
    session it evicts, or loses with a restart. The client must give bytes
    (`decode_responses=False`, which is the default).
    """

    def __init__(
        self, client: Redis, *, namespace: str = "service", timeout: timedelta = _TIMEOUT
    ) -> None:
        """Keep sessions apart from those of other services by `namespace`."""
        self._keys = KeySpace("sessions", namespace=namespace)
        self._prefix = f"{self._keys.key(_TAG, 'session')}:"
        self._timeout_s = timeout.total_seconds()
        self._add: _Script = client.register_script(_ADD)
        self._find: _Script = client.register_script(_FIND)
        self._replace: _Script = client.register_script(_REPLACE)
        self._remove: _Script = client.register_script(_REMOVE)
        self._list: _Script = client.register_script(_LIST)
        self._remove_own: _Script = client.register_script(_REMOVE_OWN)

    async def add(
        self, digest: str, record: SessionRecord, *, idle_timeout: timedelta, max_per_owner: int
    ) -> int:
        """Keep a session, and return how many older ones of its owner ended to make room.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        began, over = to_microseconds(record.created_at), to_microseconds(record.expires_at)
        ended: int = await self._run(
            self._add,
            [self._prefix + digest, self._key_of(record.owner)],
            digest,
            record.to_json(),
            to_microseconds(record.last_seen_at),
            over,
            record.id,
            began,
            max_per_owner,
            _life_of(record, idle_timeout=idle_timeout),
            self._prefix,
            idle_timeout // _MICROSECOND,
            _life_of(record),
        )
        return ended

    async def find(
        self, digest: str, *, now: datetime, idle_timeout: timedelta
    ) -> SessionRecord | None:
        """Return a session that has not ended, and note that it is used.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        held = await self._run(
            self._find,
            [self._prefix + digest],
            digest,
            to_microseconds(now),
            idle_timeout // _MICROSECOND,
            get_touch_interval(idle_timeout) // _MICROSECOND,
            _SLACK_MS,
        )
        return None if held is None else _read(held)

    async def replace(self, digest: str, new_digest: str, record: SessionRecord) -> bool:
        """Keep a session under another digest, and return whether it was there.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        done = await self._run(
            self._replace,
            [self._prefix + digest, self._prefix + new_digest, self._key_of(record.owner)],
            digest,
            new_digest,
            record.to_json(),
            to_microseconds(record.last_seen_at),
            _life_of(record),
        )
        return bool(done)

    async def remove(self, digest: str) -> SessionRecord | None:
        """End a session, and return what it was; `None` if there is none.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        held = await self._run(self._remove, [self._prefix + digest], digest)
        return None if held is None else _read(held)

    async def list(
        self, owner: Owner, *, now: datetime, idle_timeout: timedelta
    ) -> Sequence[SessionRecord]:
        """Return the sessions of somebody that have not ended, the newest first.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        found = await self._run(self._list, [self._key_of(owner)], self._prefix)
        records = [_read(held) for held in found]
        return [
            record
            for record in records
            if record is not None and not record.has_ended(now, idle_timeout=idle_timeout)
        ]

    async def remove_by_id(self, owner: Owner, session_id: str) -> bool:
        """End one session of somebody, and return whether it was there and theirs.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        keys = [self._key_of(owner)]
        return bool(await self._run(self._remove_own, keys, self._prefix, "=", session_id))

    async def remove_all(self, owner: Owner, *, except_: str | None = None) -> int:
        """End all sessions of somebody but the one with the id `except_`; return how many.

        Raises:
            SessionsUnavailableError: If Redis does not answer in time.
        """
        keys = [self._key_of(owner)]
        ended: int = await self._run(self._remove_own, keys, self._prefix, "~", except_ or "")
        return ended

    def _key_of(self, owner: Owner) -> str:
        # Names of users would be read by everybody who lists keys.
        text = json.dumps(owner).encode("ascii")
        return self._keys.key(_TAG, "owner", hashlib.sha256(text).hexdigest())

    async def _run(self, script: _Script, keys: Sequence[str], *arguments: str | int) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await script(keys=keys, args=arguments)
        except (RedisError, OSError) as error:  # `TimeoutError` is an `OSError`.
            raise SessionsUnavailableError(retry_after=timedelta(seconds=1)) from error


def _life_of(record: SessionRecord, *, idle_timeout: timedelta = timedelta.max) -> int:
    life = min(idle_timeout, record.expires_at - record.last_seen_at)
    return life // timedelta(milliseconds=1) + _SLACK_MS


def _read(held: Sequence[bytes | None]) -> SessionRecord | None:
    record, seen = held
    try:
        return SessionRecord.from_json(
            record or b"", last_seen_at=from_microseconds(int(seen or b""))
        )
    except ValueError:
        # Of another version, or of nobody: it lets nobody in.
        logger.warning("A session in Redis cannot be read, and counts as none")
        return None
