import asyncio

import pytest

from fastapi_baseline.lifecycle import Availability


def test_takes_traffic_at_first() -> None:
    availability = Availability()

    assert availability.takes_traffic
    assert not availability.is_draining


def test_refuses_traffic_until_every_reason_is_taken_back() -> None:
    availability = Availability()
    availability.refuse_traffic("importing prices")
    availability.refuse_traffic("rebuilding the index")

    availability.accept_traffic("importing prices")

    assert not availability.takes_traffic
    assert availability.refusals == ("rebuilding the index",)
    availability.accept_traffic("rebuilding the index")
    assert availability.takes_traffic


def test_taking_back_what_was_never_said_changes_nothing() -> None:
    availability = Availability()

    availability.accept_traffic("importing prices")

    assert availability.takes_traffic


def test_refuses_traffic_while_a_block_runs_however_it_ends() -> None:
    availability = Availability()

    def fail() -> None:
        with availability.refusing_traffic("importing prices"):
            refused.append(not availability.takes_traffic)
            raise LookupError

    refused: list[bool] = []

    with pytest.raises(LookupError):
        fail()

    assert refused == [True]
    assert availability.takes_traffic


def test_takes_no_traffic_while_it_drains() -> None:
    availability = Availability()

    availability.begin_draining()

    assert availability.is_draining
    assert not availability.takes_traffic


async def test_wakes_up_all_who_wait_for_its_end() -> None:
    availability = Availability()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(availability.wait_until_draining()) for _ in range(3)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)

        await asyncio.to_thread(availability.begin_draining)

    assert all(task.done() for task in waiting)


async def test_keeps_nobody_waiting_who_comes_late() -> None:
    availability = Availability()
    availability.begin_draining()

    async with asyncio.timeout(5):
        await availability.wait_until_draining()


async def test_forgets_who_no_longer_waits() -> None:
    availability = Availability()
    async with asyncio.TaskGroup() as tasks:
        gone = tasks.create_task(availability.wait_until_draining())
        await asyncio.sleep(0)
        gone.cancel()

    availability.begin_draining()

    assert gone.cancelled()


def test_does_not_mind_that_the_loop_of_somebody_who_waited_is_closed() -> None:
    availability = Availability()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(availability.wait_until_draining())
    loop.run_until_complete(asyncio.sleep(0))

    loop.close()
    availability.begin_draining()

    assert availability.is_draining
    assert not waiting.done()
    # Or it complains when it is collected.
    waiting.get_coro().close()
