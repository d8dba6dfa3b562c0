import asyncio

import pytest

from fastapi_baseline.persistence.sessions.unit_of_work import to_the_end


class Work:
    """Something that takes until it is told to end, and then fails."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.end = asyncio.Event()
        self.is_done = False

    async def __call__(self, failure: Exception | None = None) -> None:
        self.begun.set()
        await self.end.wait()
        self.is_done = True
        if failure is not None:
            raise failure


async def test_a_cancelled_task_waits_until_its_work_is_done() -> None:
    work = Work()
    task = asyncio.ensure_future(to_the_end(work()))
    await work.begun.wait()

    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    work.end.set()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.is_done


async def test_a_failure_is_kept_as_the_cause_of_the_cancellation() -> None:
    work, failure = Work(), OSError()
    task = asyncio.ensure_future(to_the_end(work(failure)))
    await work.begun.wait()

    task.cancel()
    work.end.set()

    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert caught.value.__cause__ is failure


async def test_a_failure_is_raised() -> None:
    work = Work()
    work.end.set()

    with pytest.raises(OSError):  # noqa: PT011 -- it has no message
        await to_the_end(work(OSError()))
