"""Entries in the memory of this process: bounded by their size, and found without waiting."""

from collections import OrderedDict
from collections.abc import Callable, Iterator

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.clock import Clock, SystemClock

OVERHEAD = 600
"""About how many bytes of memory an entry takes besides its parts."""
_PER_TAG = 60
_PER_HEADER = 150

_LOOKED_AT_PER_PUT = 2


class Record:
    """An entry, and for how long this process believes it.

    `moment` is the one of `Marks` at which it was asked for. `believed_until` and `usable_until`
    are in the seconds of the clock's `monotonic`: before `usable_until` it can be given without a
    further look. `refresh_at` is the moment, in seconds since 1970, to make it anew.
    """

    __slots__ = (
        "believed_until",
        "entry",
        "moment",
        "refresh_at",
        "size",
        "usable_until",
        "was_used",
    )

    def __init__(self, entry: Entry, *, moment: int) -> None:
        """Keep `entry`, which is not believed yet."""
        self.entry = entry
        self.moment = moment
        self.believed_until = 0.0
        self.usable_until = 0.0
        self.refresh_at = entry.fresh_until
        self.size = 0
        self.was_used = False


class MemoryCacheStore:
    """Entries of this process. What was not used lately gives way when room is needed.

    It is a CLOCK: a queue in which what was used since it was last looked at goes to the end once
    more, so a hit writes one flag only.
    """

    def __init__(self, *, max_size: int = 64 * 1024 * 1024, clock: Clock | None = None) -> None:
        """Keep about `max_size` bytes."""
        self.max_size = max_size
        self.size = 0
        self.evictions = 0
        self._clock = clock or SystemClock()
        # Of a plain dict, finding the first item takes longer the more before it were removed.
        self._records: OrderedDict[str, Record] = OrderedDict()

    def __len__(self) -> int:
        """Return how many entries are held, some of which may have expired."""
        return len(self._records)

    def __iter__(self) -> Iterator[tuple[str, Record]]:
        """Return an iterator over keys and records, as they are now."""
        return iter([*self._records.items()])

    def find(self, key: str) -> Record | None:
        """Return the record with this key, whether it is any good or not."""
        record = self._records.get(key)
        if record is not None:
            record.was_used = True
        return record

    def put(self, key: str, record: Record) -> bool:
        """Keep a record, and return whether there is room for it; an older one is gone anyway."""
        self.delete(key)
        record.size = len(key) + _memory_of(record.entry)
        if record.size > self.max_size:
            return False
        self._drop_expired()
        self._records[key] = record
        self.size += record.size
        while self.size > self.max_size:
            self._evict()
        return True

    def delete(self, key: str) -> bool:
        """Forget a record, and return whether there was one."""
        record = self._records.pop(key, None)
        if record is None:
            return False
        self.size -= record.size
        return True

    def delete_where(self, condition: Callable[[str], bool]) -> int:
        """Forget the records whose keys meet a condition, and return how many these were."""
        found = [key for key in self._records if condition(key)]
        return sum(map(self.delete, found))

    def _drop_expired(self) -> None:
        """Look at some of the oldest, so that what nobody asks for does not stay for ever."""
        now = self._clock.now().timestamp()
        oldest = [key for key, _ in zip(self._records, range(_LOOKED_AT_PER_PUT), strict=False)]
        for key in oldest:
            record = self._records[key]
            if record.entry.kept_until <= now:
                self.delete(key)
            elif record.was_used:
                # Otherwise one that is in use would hide all behind it.
                record.was_used = False
                self._records.move_to_end(key)

    def _evict(self) -> None:
        key = next(iter(self._records))
        record = self._records[key]
        if record.was_used:
            record.was_used = False
            self._records.move_to_end(key)
        else:
            self.delete(key)
            self.evictions += 1


def _memory_of(entry: Entry) -> int:
    return OVERHEAD + entry.size + _PER_TAG * len(entry.tags) + _PER_HEADER * len(entry.headers)
