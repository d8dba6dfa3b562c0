from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

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
