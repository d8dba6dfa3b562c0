"""Copies of entries in this process, and which of them may be believed."""

import math
from collections.abc import Callable, Iterable

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.entries import Entry, Found
from fastapi_baseline.caching.freshness import refresh_moment
from fastapi_baseline.caching.measures import Counts
from fastapi_baseline.caching.memory import MemoryCacheStore, Record
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.caching.tags import Marks, namespace_of
from fastapi_baseline.clock import Clock

with optional("msgspec", extra="cache"):
    import msgspec

_KEY = "\0key:"
_NAMESPACE = "\0namespace:"


class Copies:
    """What one process keeps, and believes for `believed_s` seconds."""

    def __init__(
        self,
        local: MemoryCacheStore,
        *,
        clock: Clock,
        random: Callable[[], float],
        believed_s: float = math.inf,
    ) -> None:
        """Keep copies in `local`."""
        self.local = local
        self.marks = Marks()
        self.counts = Counts()
        self._clock = clock
        self._random = random
        self._believed_s = believed_s

    def find_fresh_local(self, key: str) -> Entry | None:
        """Return what this process has, if it may be given as it is."""
        record = self.local.find(key)
        if (
            record is None
            or record.usable_until <= self._clock.monotonic()
            or not self.marks.is_current(record.entry.tags, record.moment)
        ):
            return None
        self.counts.local_hits += 1
        return record.entry

    def keep(self, key: str, entry: Entry, *, moment: int) -> Found | None:
        """Keep an entry that was asked for at `moment`, unless it is not current any more."""
        now = self._clock.now().timestamp()
        state = entry.state_at(now)
        if state is None or not self.is_current(key, entry.tags, since=moment):
            self.local.delete(key)
            return None
        known = self.local.find(key)
        record = Record(entry, moment=moment)
        if known is not None and _is_same(known.entry, entry):
            # It may have variants by now, and somebody may be making it anew.
            record.entry, record.refresh_at = known.entry, known.refresh_at
        else:
            record.refresh_at = refresh_moment(entry, random=self._random)
        record.believed_until = self._clock.monotonic() + self._believed_s
        self._time(record, now)
        self.local.put(key, record)
        return Found(record.entry, state, "remote", is_due=is_due(record, now))

    def postpone_refresh(self, key: str, *, seconds: float) -> None:
        """Have nobody make an entry anew for a while."""
        record = self.local.find(key)
        if record is not None:
            now = self._clock.now().timestamp()
            record.refresh_at = now + seconds
            self._time(record, now)

    def add_variant(self, key: str, entry: Entry, *, coding: str, body: bytes) -> None:
        """Keep the body of an entry in another coding, if this process still has that entry."""
        record = self.local.find(key)
        if record is not None and _is_same(record.entry, entry):
            variants = {**record.entry.variants, coding: body}
            record.entry = msgspec.structs.replace(record.entry, variants=variants)
            self.local.put(key, record)

    def is_current(self, key: str, tags: Iterable[str], *, since: int) -> bool:
        """Return whether neither the key nor one of the tags was invalidated after a moment."""
        names = (*tags, _KEY + key, _NAMESPACE + namespace_of(key))
        return self.marks.is_current(names, since)

    def forget(self, invalidation: Invalidation) -> int:
        """Have this process not believe what is invalid, and return how many keys were removed."""
        if invalidation.is_everything:
            self.marks.mark_all()
            return self.local.delete_where(lambda _: True)
        spaces = frozenset(invalidation.namespaces)
        self.marks.mark(
            [
                *invalidation.tags,
                *(_KEY + key for key in invalidation.keys),
                *(_NAMESPACE + namespace for namespace in spaces),
            ]
        )
        removed = sum(map(self.local.delete, invalidation.keys))
        if spaces:
            removed += self.local.delete_where(lambda key: namespace_of(key) in spaces)
        return removed

    def _time(self, record: Record, now: float) -> None:
        left_s = min(record.entry.fresh_until, record.refresh_at) - now
        record.usable_until = min(record.believed_until, self._clock.monotonic() + left_s)


def is_due(record: Record, now: float) -> bool:
    """Return whether to make an entry anew."""
    entry = record.entry
    return entry.stale_until > entry.fresh_until and record.refresh_at <= now < entry.stale_until


def _is_same(one: Entry, other: Entry) -> bool:
    return one.stored_at == other.stored_at and one.etag == other.etag and one.body == other.body
