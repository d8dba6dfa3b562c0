from datetime import timedelta

from fastapi_baseline.rate_limiting.concurrency import ConcurrencyPolicy
from fastapi_baseline.rate_limiting.memory_leases import MemoryLeaseStore
from fastapi_baseline.testing import ManualClock

ONE = ConcurrencyPolicy(name="one", quota=1, lease=timedelta(seconds=10))


async def test_keeps_nothing_of_whom_nothing_runs() -> None:
    store = MemoryLeaseStore(clock=ManualClock())
    for number in range(100):
        await store.acquire(ONE, str(number), "a")
        await store.release(ONE, str(number), "a")

    await store.release(ONE, "nobody", "a")
    assert len(store) == 0


async def test_forgets_callers_whose_requests_never_ended() -> None:
    clock = ManualClock()
    store = MemoryLeaseStore(clock=clock)
    for number in range(100):
        await store.acquire(ONE, f"dead {number}", "a")

    clock.advance(timedelta(seconds=10))
    for number in range(100):
        await store.acquire(ONE, f"alive {number}", "a")

    assert len(store) == 100
