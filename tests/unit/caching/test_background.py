import asyncio
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from fastapi_baseline.caching.background import Background


async def hang() -> None:
    await asyncio.Event().wait()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("that never happens")


async def pause() -> None:
    await asyncio.sleep(0)


async def test_runs_no_more_at_once_than_it_may() -> None:
    background = Background(max_tasks=2)

    async with background.running():
        started = [background.start(hang) for _ in range(3)]

    assert started == [True, True, False]


async def test_has_room_again_when_one_has_ended() -> None:
    background = Background(max_tasks=1)

    async with background.running():
        background.start(pause)
        await until(lambda: background.has_room)

        assert background.start(pause)


async def test_runs_nothing_outside_of_its_block() -> None:
    background = Background()
    before = background.start(hang)
    async with background.running():
        pass

    assert not before
    assert not background.start(hang)


async def test_an_error_is_logged_and_ends_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    ended: list[str] = []

    async def fail() -> None:
        raise RuntimeError("no")

    async def work() -> None:
        await asyncio.sleep(0)
        ended.append("work")

    async with background.running():
        background.start(fail)
        background.start(work)
        for _ in range(5):
            await asyncio.sleep(0)

    assert ended == ["work"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_tasks_know_nothing_of_who_started_them() -> None:
    who: ContextVar[str] = ContextVar("who", default="nobody")
    who.set("somebody")
    background = Background()
    seen: list[str] = []

    async def look() -> None:
        seen.append(who.get())

    async with background.running():
        background.start(look)
        await asyncio.sleep(0)

    assert seen == ["nobody"]


async def test_an_error_of_the_block_is_passed_on_as_it_is() -> None:
    background = Background()

    async def run() -> None:
        async with background.running():
            background.start(hang)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await run()


async def test_says_that_a_task_has_ended_even_if_it_never_began() -> None:
    background = Background()
    ended: list[str] = []

    async with background.running():
        background.start(pause, at_end=lambda: ended.append("a"))
        await until(lambda: bool(ended))
        background.start(hang, at_end=lambda: ended.append("b"))

    assert ended == ["a", "b"]
