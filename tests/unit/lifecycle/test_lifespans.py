import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from fastapi_baseline.lifecycle import Lifespan, chain_lifespans


@pytest.fixture
def events() -> list[str]:
    return []


def _lifespan(name: str, events: list[str], state: dict[str, str] | None = None) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncGenerator[dict[str, str]]:
        events.append(f"start {name}")
        try:
            yield state or {}
        finally:
            events.append(f"stop {name}")

    return lifespan


async def test_enters_in_order_and_leaves_in_reverse(events: list[str]) -> None:
    chained = chain_lifespans(_lifespan("a", events), _lifespan("b", events))

    async with chained(None):
        events.append("serve")

    assert events == ["start a", "start b", "serve", "stop b", "stop a"]


async def test_merges_the_states_and_lets_the_later_one_count(events: list[str]) -> None:
    chained = chain_lifespans(
        _lifespan("a", events, {"x": "a", "y": "a"}), _lifespan("b", events, {"y": "b"})
    )

    async with chained(None) as state:
        assert state == {"x": "a", "y": "b"}


async def test_takes_a_lifespan_without_state() -> None:
    @asynccontextmanager
    async def stateless(app: object) -> AsyncGenerator[None]:
        yield

    async with chain_lifespans(stateless)(None) as state:
        assert state == {}


async def test_leaves_what_was_entered_when_a_later_one_cannot_start(events: list[str]) -> None:
    @asynccontextmanager
    async def broken(app: object) -> AsyncGenerator[None]:
        raise RuntimeError
        yield

    with pytest.raises(RuntimeError):
        async with chain_lifespans(_lifespan("a", events), broken)(None):
            events.append("serve")

    assert events == ["start a", "stop a"]


def _lingering(name: str, events: list[str], linger: "asyncio.Event") -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: object) -> AsyncGenerator[None]:
        yield
        try:
            await linger.wait()
        except asyncio.CancelledError:
            events.append(f"cancel {name}")
            raise

    lifespan.__qualname__ = name
    return lifespan


async def test_cancels_and_names_one_that_does_not_stop_and_stops_the_others(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    chained = chain_lifespans(
        _lifespan("a", events),
        _lingering("pool", events, asyncio.Event()),
        _lifespan("b", events),
        budget=timedelta(milliseconds=40),
    )

    async with chained(None):
        events.clear()

    assert events == ["stop b", "cancel pool", "stop a"]
    assert "pool did not stop within" in caplog.text


async def test_leaves_time_for_the_others_when_one_hangs(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    hanging = (_lingering(name, events, asyncio.Event()) for name in "abc")

    async with chain_lifespans(*hanging, budget=timedelta(milliseconds=300))(None):
        pass

    # Half of the budget is for all alike: 50 ms each.
    assert "c did not stop within 0.20 s" in caplog.text
    assert events == ["cancel c", "cancel b", "cancel a"]


async def test_leaves_what_one_does_not_need_to_the_others(
    events: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    quick = _lifespan("quick", events)
    hanging = _lingering("slow", events, asyncio.Event())

    async with chain_lifespans(hanging, quick, quick, budget=timedelta(milliseconds=100))(None):
        pass

    assert "slow did not stop within 0.10 s" in caplog.text


async def test_an_error_while_one_stops_does_not_keep_the_others_from_it(
    events: list[str],
) -> None:
    @asynccontextmanager
    async def broken(app: object) -> AsyncGenerator[None]:
        yield
        raise RuntimeError("broken")

    chained = chain_lifespans(_lifespan("a", events), broken, budget=timedelta(seconds=5))

    with pytest.raises(RuntimeError, match="broken"):
        async with chained(None):
            events.clear()

    assert events == ["stop a"]


async def test_a_timeout_of_its_own_is_an_error_like_any_other() -> None:
    @asynccontextmanager
    async def late(app: object) -> AsyncGenerator[None]:
        yield
        raise TimeoutError("theirs")

    with pytest.raises(TimeoutError, match="theirs"):
        async with chain_lifespans(late, budget=timedelta(seconds=5))(None):
            pass


async def test_the_error_that_it_stops_for_goes_on_past_one_that_hangs(events: list[str]) -> None:
    chained = chain_lifespans(
        _lingering("pool", events, asyncio.Event()), budget=timedelta(milliseconds=10)
    )

    @asynccontextmanager
    async def insistent(app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await asyncio.Event().wait()

    both = chain_lifespans(insistent, chained, budget=timedelta(milliseconds=10))

    with pytest.raises(LookupError):
        async with both(None):
            raise LookupError


async def test_is_left_by_the_task_that_has_entered_it(events: list[str]) -> None:
    tasks: list[asyncio.Task[object] | None] = []

    @asynccontextmanager
    async def noting(app: object) -> AsyncGenerator[None]:
        tasks.append(asyncio.current_task())
        yield
        tasks.append(asyncio.current_task())

    async with chain_lifespans(noting, budget=timedelta(seconds=5))(None):
        pass

    assert tasks[0] is tasks[1]
