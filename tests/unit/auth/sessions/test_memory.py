from datetime import timedelta

from fastapi_baseline.auth.sessions import MemorySessionStore, SessionRecord
from fastapi_baseline.testing import ManualClock

IDLE, LIFE = timedelta(minutes=30), timedelta(hours=12)


def make(clock: ManualClock, number: int) -> SessionRecord:
    now = clock.now()
    return SessionRecord(
        id=str(number),
        issuer="self",
        subject=str(number),
        created_at=now,
        last_seen_at=now,
        expires_at=now + LIFE,
    )


async def add(store: MemorySessionStore, clock: ManualClock, number: int) -> None:
    record = make(clock, number)
    await store.add(str(number), record, idle_timeout=IDLE, max_per_owner=5)


async def test_keeps_so_many_sessions_and_no_more() -> None:
    clock = ManualClock()
    store = MemorySessionStore(max_sessions=3, clock=clock)

    for number in range(5):
        await add(store, clock, number)

    alive = [await store.find(str(n), now=clock.now(), idle_timeout=IDLE) for n in range(5)]
    assert len(store) == 3
    assert [record is not None for record in alive] == [False, False, True, True, True]


async def test_forgets_what_is_over_as_sessions_begin() -> None:
    clock = ManualClock()
    store = MemorySessionStore(clock=clock)
    for number in range(4):
        await add(store, clock, number)

    clock.advance(LIFE)
    for number in range(4, 7):
        await add(store, clock, number)

    assert len(store) == 3


async def test_remembers_nothing_of_owners_whose_sessions_have_ended() -> None:
    clock = ManualClock()
    store = MemorySessionStore(clock=clock)
    await add(store, clock, 1)
    await store.remove("1")

    assert all(not value for value in (store._records, store._by_owner))  # pyright: ignore[reportPrivateUsage] -- nothing else shows it
