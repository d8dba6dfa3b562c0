import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from fastapi_baseline.health import (
    CheckRegistration,
    DiskFullError,
    DiskSpaceCheck,
    EventLoopLagCheck,
    EventLoopLagError,
    HealthMonitor,
)

PLENTY = 1 << 80


async def test_passes_while_there_is_room(tmp_path: Path) -> None:
    await DiskSpaceCheck(tmp_path, minimum_free_bytes=1).check()


async def test_fails_when_there_is_too_little_room(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError):
        await DiskSpaceCheck(tmp_path, minimum_free_bytes=PLENTY).check()


async def test_fails_when_there_is_no_such_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await DiskSpaceCheck(tmp_path / "gone", minimum_free_bytes=1).check()


async def test_occupies_one_thread_while_a_file_system_hangs() -> None:
    asked: list[int] = []
    may_answer = threading.Event()

    class Hanging(DiskSpaceCheck):
        def _free_bytes(self) -> int:
            asked.append(1)
            may_answer.wait(10)
            return 5

    check = Hanging("/", minimum_free_bytes=1)

    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await check.check()
    may_answer.set()
    await check.check()

    assert len(asked) == 1


async def test_passes_while_the_event_loop_is_in_time() -> None:
    lag = timedelta(milliseconds=100)

    await EventLoopLagCheck(lambda: lag, maximum=lag).check()


async def test_fails_while_the_event_loop_is_late() -> None:
    lag = timedelta(milliseconds=101)

    with pytest.raises(EventLoopLagError):
        await EventLoopLagCheck(lambda: lag, maximum=timedelta(milliseconds=100)).check()


def test_the_event_loop_may_decide_about_liveness_and_the_disk_may_not() -> None:
    loop = EventLoopLagCheck(timedelta, maximum=timedelta(seconds=1))

    report = HealthMonitor([CheckRegistration(loop, groups=["live"])]).report_liveness()

    assert report.is_up
    assert not hasattr(DiskSpaceCheck("/", minimum_free_bytes=1), "is_local")
