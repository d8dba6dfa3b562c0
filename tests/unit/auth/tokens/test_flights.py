import asyncio

from fastapi_baseline import context
from fastapi_baseline.auth.tokens.flights import Flight
from fastapi_baseline.context import RequestContext


class Work:
    def __init__(self) -> None:
        self.begun = 0
        self.ended = 0
        self.contexts: list[object] = []
        self.gate = asyncio.Event()

    async def do(self) -> None:
        self.begun += 1
        self.contexts.append(context.current())
        await self.gate.wait()
        self.ended += 1


async def test_is_done_once_however_many_wait() -> None:
    work = Work()
    flight = Flight(work.do)

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(flight.wait())
        await asyncio.sleep(0)
        work.gate.set()

    assert (work.begun, work.ended) == (1, 1)
    await flight.wait()
    assert work.begun == 2


async def test_goes_on_if_who_waits_goes_away() -> None:
    work = Work()
    flight = Flight(work.do)

    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(flight.wait())
        await asyncio.sleep(0)
        waiting.cancel()
    assert flight.is_under_way

    work.gate.set()
    await flight.wait()
    assert (work.ended, flight.is_under_way) == (1, False)


async def test_is_for_no_request() -> None:
    work = Work()
    work.gate.set()
    token = context.request_context.set(RequestContext(request_id="1"))

    await Flight(work.do).wait()

    context.request_context.reset(token)
    assert work.contexts == [None]


async def test_is_given_up_at_the_end() -> None:
    work = Work()
    flight = Flight(work.do)
    await flight.close()

    task = flight.start()
    await asyncio.sleep(0)
    await flight.close()

    assert task.cancelled()
    assert not flight.is_under_way
