import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fastapi_baseline.caching.coherence import Coherence, Outbox
from fastapi_baseline.caching.store import Invalidation
from fastapi_baseline.errors import UnavailableError


class Store:
    """What remembers what it was told, unless it is away."""

    def __init__(self) -> None:
        self.told: list[Invalidation] = []
        self.is_away = False
        self.waits: asyncio.Event | None = None
        self.messages: asyncio.Queue[Invalidation | None] = asyncio.Queue()

    async def invalidate(self, invalidation: Invalidation) -> int:
        if self.waits is not None:
            await self.waits.wait()
        if self.is_away:
            raise UnavailableError
        self.told.append(invalidation)
        return 1

    @asynccontextmanager
    async def listen(self) -> AsyncGenerator[AsyncGenerator[Invalidation | None]]:
        if self.is_away:
            raise UnavailableError

        async def messages() -> AsyncGenerator[Invalidation | None]:
            while True:
                yield await self.messages.get()

        yield messages()


@pytest.fixture
def store() -> Store:
    return Store()


def coherence_of(store: Any, *, heard: list[Invalidation] | None = None) -> Coherence:
    return Coherence(store, apply=([] if heard is None else heard).append)


def of(*tags: str) -> Invalidation:
    return Invalidation(tags=tags)


def test_holds_each_name_once() -> None:
    outbox = Outbox()
    outbox.add(of("a", "b"))
    outbox.add(Invalidation(tags=("a",), keys=("a",), namespaces=("a",)))

    assert len(outbox) == 4
    assert len(outbox.take().tags) == 2
    assert not outbox


def test_too_many_names_are_everything() -> None:
    outbox = Outbox(max_names=2)
    outbox.add(of("a", "b", "c"))
    outbox.add(of("d"))

    assert outbox.take() == Invalidation(is_everything=True)


async def test_says_who_has_said_it(store: Store) -> None:
    coherence = coherence_of(store)

    await coherence.tell(of("a"))
    await coherence.tell(of("b"))

    assert [told.tags for told in store.told] == [("a",), ("b",)]
    assert len({told.sender for told in store.told}) == 1
    assert store.told[0].sender


async def test_what_could_not_be_told_is_told_with_the_next(store: Store) -> None:
    coherence = coherence_of(store)
    store.is_away = True
    await coherence.tell(of("a"))
    was_behind = coherence.is_behind
    store.is_away = False

    await coherence.tell(of("b"))

    assert was_behind
    assert not coherence.is_behind
    assert [set(told.tags) for told in store.told] == [{"a", "b"}]


async def test_is_behind_until_all_is_told(store: Store) -> None:
    coherence = coherence_of(store)
    store.is_away = True
    await coherence.tell(of("a"))
    store.is_away = False
    store.waits = asyncio.Event()
    catching_up = asyncio.ensure_future(coherence.catch_up())
    await asyncio.sleep(0)

    meanwhile = await coherence.catch_up()
    store.waits.set()

    assert not meanwhile
    assert await catching_up
    assert len(store.told) == 1


async def test_what_is_cancelled_while_it_is_told_is_told_again(store: Store) -> None:
    coherence = coherence_of(store)
    store.waits = asyncio.Event()
    task = asyncio.ensure_future(coherence.tell(of("a")))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    store.waits = None

    assert await coherence.catch_up()
    assert [told.tags for told in store.told] == [("a",)]


async def test_says_once_that_invalidations_wait_and_once_that_they_are_done(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="fastapi_baseline.caching")
    coherence = coherence_of(store)
    store.is_away = True
    for tag in "abc":
        await coherence.tell(of(tag))
        await coherence.catch_up()
    store.is_away = False
    await coherence.catch_up()
    await coherence.catch_up()

    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_hears_what_others_say_and_not_itself(store: Store) -> None:
    heard: list[Invalidation] = []
    coherence = coherence_of(store, heard=heard)
    await coherence.tell(of("mine"))
    others = Invalidation(sender="other", tags=("theirs",))
    for message in (store.told[0], None, others):
        store.messages.put_nowait(message)

    listening = asyncio.ensure_future(coherence.listen())
    for _ in range(10):
        await asyncio.sleep(0)
    is_listening = coherence.is_listening
    listening.cancel()
    await asyncio.wait([listening])

    assert heard == [others]
    assert is_listening
    assert not coherence.is_listening


async def test_tells_by_itself_what_waited(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastapi_baseline.caching.coherence._RETRY_S", 0)
    coherence = coherence_of(store)
    store.is_away = True
    await coherence.tell(of("a"))
    delivering = asyncio.ensure_future(coherence.deliver())
    for _ in range(5):
        await asyncio.sleep(0)
    still_waits = coherence.is_behind
    store.is_away = False
    for _ in range(5):
        await asyncio.sleep(0)
    delivering.cancel()
    await asyncio.wait([delivering])

    assert still_waits
    assert not coherence.is_behind


async def test_listens_again_when_the_store_is_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_baseline.caching.coherence._RETRY_S", 0)
    coherence = coherence_of(store)
    store.is_away = True
    listening = asyncio.ensure_future(coherence.listen())
    for _ in range(5):
        await asyncio.sleep(0)
    heard_while_away = coherence.is_listening
    store.is_away = False
    for _ in range(5):
        await asyncio.sleep(0)

    assert (heard_while_away, coherence.is_listening) == (False, True)
    listening.cancel()
    await asyncio.wait([listening])


async def test_what_is_cancelled_while_it_catches_up_waits_on(store: Store) -> None:
    coherence = coherence_of(store)
    store.is_away = True
    await coherence.tell(of("a"))
    store.waits = asyncio.Event()
    catching_up = asyncio.ensure_future(coherence.catch_up())
    await asyncio.sleep(0)
    catching_up.cancel()
    await asyncio.wait([catching_up])

    assert coherence.undelivered == 1
