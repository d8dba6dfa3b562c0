import asyncio
import socket
import time
from datetime import timedelta

import pytest

from fastapi_baseline.redis.deadlines import DeadlineQueue

SOON = timedelta(milliseconds=20)
LATE = timedelta(minutes=1)


async def give(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def hang() -> None:
    await asyncio.Event().wait()


async def test_returns_what_comes_in_time() -> None:
    assert await DeadlineQueue(LATE).wait_for(give(1)) == 1


async def test_passes_errors_on() -> None:
    async def fail() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await DeadlineQueue(LATE).wait_for(fail())


async def test_ends_what_takes_too_long() -> None:
    queue = DeadlineQueue(SOON)

    with pytest.raises(TimeoutError):
        await queue.wait_for(hang())

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_ends_each_of_many_and_none_that_comes_in_time() -> None:
    queue = DeadlineQueue(SOON)
    waits = [hang() if number % 3 else give(number) for number in range(100)]

    ends = await asyncio.gather(*map(queue.wait_for, waits), return_exceptions=True)

    assert [isinstance(end, TimeoutError) for end in ends] == [bool(n % 3) for n in range(100)]


async def test_ends_few_at_a_time_so_that_others_have_their_turn() -> None:
    queue = DeadlineQueue(SOON)
    turns: list[int] = []
    ended = 0

    async def wait() -> None:
        nonlocal ended
        with pytest.raises(TimeoutError):
            await queue.wait_for(hang())
        ended += 1

    async def count() -> None:
        while ended < 200:
            before = ended
            await asyncio.sleep(0)
            turns.append(ended - before)

    await asyncio.gather(count(), *(wait() for _ in range(200)))

    assert 0 < max(turns) <= 16


async def test_that_the_caller_is_cancelled_stays_a_cancellation() -> None:
    waiting = asyncio.ensure_future(DeadlineQueue(LATE).wait_for(hang()))
    await asyncio.sleep(0)

    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_cancellation_at_the_same_moment_is_not_taken_for_the_end_of_time() -> None:
    queue = DeadlineQueue(SOON)
    waiting: asyncio.Task[None]

    async def be_cancelled_by_both() -> None:
        try:
            await hang()
        except asyncio.CancelledError:
            waiting.cancel()
            raise

    waiting = asyncio.ensure_future(queue.wait_for(be_cancelled_by_both()))

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_an_outer_limit_sees_its_own_cancellation() -> None:
    outer = asyncio.timeout(0.01)

    with pytest.raises(TimeoutError):
        async with outer:
            await DeadlineQueue(LATE).wait_for(hang())

    assert outer.expired()


async def test_insists_when_a_cancellation_gets_lost() -> None:
    lost = 0

    async def lose_some() -> None:
        nonlocal lost
        while True:
            try:
                await hang()
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    with pytest.raises(TimeoutError):
        await DeadlineQueue(SOON).wait_for(lose_some())

    task = asyncio.current_task()
    assert task is not None
    assert (lost, task.cancelling()) == (3, 0)


async def test_a_late_result_is_a_result() -> None:
    async def finish_anyway() -> int:
        try:
            await hang()
        except asyncio.CancelledError:
            return 1
        return 0

    result = await DeadlineQueue(SOON).wait_for(finish_anyway())

    task = asyncio.current_task()
    assert task is not None
    assert (result, task.cancelling()) == (1, 0)


@pytest.mark.parametrize("parts", [1, 3])
async def test_what_is_here_counts_even_if_the_loop_was_held_up(parts: int) -> None:
    queue = DeadlineQueue(SOON)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    async def receive() -> bytes:
        loop = asyncio.get_running_loop()
        return b"".join([await loop.sock_recv(ours, 1) for _ in range(parts)])

    async def hold_up() -> None:
        theirs.send(b"abc")
        time.sleep(0.06)  # noqa: ASYNC251 -- so that the answer is seen after the deadline

    with ours, theirs:
        received, _ = await asyncio.gather(queue.wait_for(receive()), hold_up())

    assert received == b"abc"[:parts]


async def test_what_a_busy_loop_loses_is_not_taken_from_those_who_wait() -> None:
    queue = DeadlineQueue(SOON)

    async def take_turns() -> int:
        for _ in range(8):
            await asyncio.sleep(0)
            time.sleep(0.01)  # noqa: ASYNC251 -- what the others do in each turn
        return 1

    assert await queue.wait_for(take_turns()) == 1


def test_serves_one_event_loop_after_the_other() -> None:
    queue = DeadlineQueue(SOON)

    async def time_out() -> bool:
        with pytest.raises(TimeoutError):
            await queue.wait_for(hang())
        return True

    async def leave_a_timer() -> int:
        return await queue.wait_for(give(1))

    assert asyncio.run(leave_a_timer())
    assert asyncio.run(time_out())
    assert asyncio.run(time_out())
