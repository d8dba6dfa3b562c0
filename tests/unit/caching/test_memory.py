from datetime import timedelta

from hypothesis import given
from hypothesis.strategies import integers, lists, tuples

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.memory import OVERHEAD, MemoryCacheStore, Record
from fastapi_baseline.testing.clock import ManualClock


def record(*, size: int = 100, lifetime_s: float = 60, clock: ManualClock | None = None) -> Record:
    until = (clock or ManualClock()).now().timestamp() + lifetime_s
    entry = Entry(
        body=b"x" * size, stored_at=0, fresh_until=until, stale_until=until, error_until=until
    )
    return Record(entry, moment=0)


def holding(store: MemoryCacheStore, *keys: str, size: int = 100) -> MemoryCacheStore:
    for key in keys:
        assert store.put(key, record(size=size))
    return store


def keys_of(store: MemoryCacheStore) -> list[str]:
    return [key for key, _ in store]


def store_for(count: int) -> MemoryCacheStore:
    return MemoryCacheStore(max_size=count * (OVERHEAD + 101), clock=ManualClock())


def test_finds_what_was_put() -> None:
    store = store_for(1)
    kept = record()
    store.put("a", kept)

    assert store.find("a") is kept
    assert store.find("b") is None


def test_what_was_not_used_gives_way_first() -> None:
    store = holding(store_for(3), "a", "b", "c")
    store.find("a")

    holding(store, "d")

    assert sorted(keys_of(store)) == ["a", "c", "d"]
    assert store.evictions == 1


def test_what_is_larger_than_all_is_not_kept() -> None:
    store = holding(store_for(2), "a", "b")

    assert not store.put("a", record(size=10_000))
    assert keys_of(store) == ["b"]


def test_keeps_nothing_if_it_has_no_room() -> None:
    store = MemoryCacheStore(max_size=0)

    assert not store.put("a", record(size=0))
    assert store.size == 0


def test_a_record_takes_the_place_of_the_one_before() -> None:
    store = holding(store_for(2), "a", "a")

    assert len(store) == 1
    assert store.size == OVERHEAD + 101


def test_what_was_deleted_takes_no_room() -> None:
    store = holding(store_for(2), "a", "b")

    assert store.delete("a")
    assert not store.delete("a")
    assert store.delete_where(lambda key: key == "b") == 1
    assert store.size == 0


def test_what_nobody_asks_for_any_more_does_not_stay() -> None:
    clock = ManualClock()
    store = MemoryCacheStore(clock=clock)
    for number in range(10):
        store.put(str(number), record(lifetime_s=1, clock=clock))
    clock.advance(timedelta(seconds=2))

    for number in range(10, 20):
        store.put(str(number), record(clock=clock))

    assert keys_of(store) == [str(number) for number in range(10, 20)]


def test_what_is_in_use_does_not_hide_what_has_expired() -> None:
    clock = ManualClock()
    store = MemoryCacheStore(clock=clock)
    store.put("used", record(clock=clock))
    store.put("expired", record(lifetime_s=1, clock=clock))
    clock.advance(timedelta(seconds=2))

    for number in range(3):
        store.find("used")
        store.put(str(number), record(clock=clock))

    assert "expired" not in keys_of(store)


@given(lists(tuples(integers(0, 20), integers(0, 3_000))))
def test_never_takes_more_room_than_it_has(puts: list[tuple[int, int]]) -> None:
    store = MemoryCacheStore(max_size=5_000, clock=ManualClock())

    for key, size in puts:
        store.put(str(key), record(size=size))
        if key % 3 == 0:
            store.find(str(key))

        assert store.size <= 5_000
        assert store.size == sum(kept.size for _, kept in store)
