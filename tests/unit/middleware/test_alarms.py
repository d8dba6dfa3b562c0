import asyncio
import itertools
from collections.abc import Callable

import pytest

from fastapi_baseline.middleware.alarms import Alarms

SOON = 0.02
LATE = 60.0


class Bell:
    def __init__(self, alarms: "Alarms[Bell] | None" = None) -> None:
        self.rings = 0
        self._alarms = alarms

    def ring(self) -> None:
        self.rings += 1
        if self._alarms is not None and self.rings == 1:
            self._alarms.set(self, self._alarms.loop.time())


def make_alarms() -> Alarms[Bell]:
    return Alarms[Bell](asyncio.get_running_loop())


async def test_rings_once_at_its_time_and_not_before() -> None:
    alarms, bell = make_alarms(), Bell()
    due = alarms.loop.time() + SOON
    alarms.set(bell, due)

    await asyncio.sleep(0)
    assert bell.rings == 0
    await asyncio.sleep(due + SOON - alarms.loop.time())
    assert bell.rings == 1


async def test_rings_for_each_at_its_own_time_in_whatever_order_they_were_set() -> None:
    alarms, bells = make_alarms(), [Bell() for _ in range(3)]
    now = alarms.loop.time()
    for bell, factor in zip(bells, (3, 1, 2), strict=True):
        alarms.set(bell, now + SOON * factor)

    seen: list[list[int]] = []
    while sum(bell.rings for bell in bells) < 3:
        await asyncio.sleep(SOON / 10)
        seen.append([bell.rings for bell in bells])

    order = [state for state, _ in itertools.groupby(seen) if any(state)]
    assert order[-1] == [1, 1, 1]
    # A loop that was late may have rung for several at once, but never for a later one first.
    assert all(state in ([0, 1, 0], [0, 1, 1], [1, 1, 1]) for state in order)


async def test_does_not_ring_for_what_was_cleared() -> None:
    alarms, cleared, kept = make_alarms(), Bell(), Bell()
    due = alarms.loop.time() + SOON
    alarms.set(cleared, due)
    alarms.set(kept, due)
    alarms.clear(cleared)
    alarms.clear(cleared)

    await asyncio.sleep(SOON * 2)
    assert (cleared.rings, kept.rings) == (0, 1)


@pytest.mark.parametrize(("first", "then", "rings"), [(LATE, SOON, 1), (SOON, LATE, 0)])
async def test_rings_at_the_time_that_was_set_last(first: float, then: float, rings: int) -> None:
    alarms, bell = make_alarms(), Bell()
    now = alarms.loop.time()
    alarms.set(bell, now + first)
    alarms.set(bell, now + then)

    await asyncio.sleep(SOON * 2)
    assert bell.rings == rings


async def test_can_be_set_again_while_it_rings() -> None:
    alarms = make_alarms()
    bell = Bell(alarms)
    alarms.set(bell, alarms.loop.time())

    await asyncio.sleep(SOON)
    assert bell.rings == 2


async def test_starts_one_timer_for_any_number_of_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = make_alarms()
    loop, started = alarms.loop, 0
    call_at = loop.call_at

    def counted(when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        nonlocal started
        started += 1
        return call_at(when, callback)

    monkeypatch.setattr(loop, "call_at", counted)
    for _ in range(1_000):
        bell = Bell()
        alarms.set(bell, loop.time() + LATE)
        alarms.clear(bell)

    assert started == 1
