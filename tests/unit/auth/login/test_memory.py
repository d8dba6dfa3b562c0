from datetime import UTC, datetime, timedelta

from fastapi_baseline.auth.login.memory import MemoryLoginStore
from fastapi_baseline.auth.login.store import Stored
from fastapi_baseline.testing import ManualClock

MINUTE = timedelta(minutes=1)


def make(*, max_entries: int = 100) -> tuple[MemoryLoginStore, ManualClock]:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    return MemoryLoginStore(max_entries=max_entries, clock=clock), clock


async def test_the_oldest_value_goes_if_there_are_too_many() -> None:
    store, _ = make(max_entries=2)

    for n in range(3):
        await store.add_if_absent(f"mark:{n}", "a", lifetime=MINUTE, groups=["group"])

    assert len(store) == 2
    assert await store.get("mark:0") is None
    assert sorted(await store.list_group("group")) == ["mark:1", "mark:2"]


async def test_marks_do_not_make_tokens_go() -> None:
    store, _ = make(max_entries=2)
    await store.add_if_absent("session:1", "a", lifetime=MINUTE)

    for n in range(10):
        await store.add_if_absent(f"mark:{n}", "", lifetime=MINUTE)

    assert await store.get("session:1") == Stored("a", 1)


async def test_values_that_are_over_do_not_stay() -> None:
    store, clock = make()
    for n in range(10):
        await store.add_if_absent(f"mark:{n}", "a", lifetime=MINUTE, groups=[f"group:{n}"])
    clock.advance(MINUTE)

    for n in range(10, 20):
        await store.add_if_absent(f"mark:{n}", "a", lifetime=MINUTE)

    assert len(store) == 10
