import asyncio
import json
from datetime import timedelta

import pytest
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline import ConfigurationError
from fastapi_baseline.middleware.load_shedding import LoadSheddingMiddleware

START: Message = {"type": "http.response.start", "status": 200, "headers": []}
END: Message = {"type": "http.response.body", "body": b""}


class Service:
    """Answers requests when it is told to."""

    def __init__(self) -> None:
        self.begun = asyncio.Semaphore(0)
        self.may_start = asyncio.Event()
        self.may_end = asyncio.Event()
        self.started = asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun.release()
        if scope["path"] == "/broken":
            raise RuntimeError
        if scope["path"] == "/slow":
            await self.may_start.wait()
        await send(START)
        self.started.release()
        if scope["path"] == "/stream":
            await self.may_end.wait()
        await send(END)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def layer(service: Service) -> LoadSheddingMiddleware:
    return LoadSheddingMiddleware(
        service, max_in_flight=2, retry_after=timedelta(seconds=3), exempt_paths={"/livez"}
    )


async def _ask(layer: LoadSheddingMiddleware, path: str, *, kind: str = "http") -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await layer({"type": kind, "path": path, "headers": []}, receive, send)
    return sent


async def test_refuses_the_request_that_is_one_too_many(
    layer: LoadSheddingMiddleware, service: Service
) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(_ask(layer, "/slow")) for _ in range(2)]
        await service.begun.acquire()
        await service.begun.acquire()
        start, body = await _ask(layer, "/quick")
        service.may_start.set()

    assert start["status"] == 503
    assert dict(start["headers"])[b"retry-after"] == b"3"
    assert json.loads(body["body"])["code"] == "overloaded"
    assert [task.result() for task in waiting] == [[START, END], [START, END]]


async def test_lets_requests_through_again(layer: LoadSheddingMiddleware) -> None:
    for _ in range(5):
        assert await _ask(layer, "/quick") == [START, END]

    assert layer.in_flight == 0


async def test_does_not_count_a_stream_that_has_begun(
    layer: LoadSheddingMiddleware, service: Service
) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(_ask(layer, "/stream"))
            await service.started.acquire()
        in_flight = layer.in_flight
        answer = await _ask(layer, "/quick")
        service.may_end.set()

    assert in_flight == 0
    assert answer == [START, END]
    assert layer.in_flight == 0


async def test_does_not_count_a_request_that_failed(layer: LoadSheddingMiddleware) -> None:
    for _ in range(3):
        with pytest.raises(RuntimeError):
            await _ask(layer, "/broken")

    assert layer.in_flight == 0


async def test_does_not_count_a_request_that_was_cancelled(
    layer: LoadSheddingMiddleware, service: Service
) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_ask(layer, "/slow"))
        await service.begun.acquire()
        task.cancel()

    assert layer.in_flight == 0


async def test_answers_probes_and_websockets_under_any_load(
    layer: LoadSheddingMiddleware, service: Service
) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(_ask(layer, "/slow"))
            await service.begun.acquire()
        probe = await _ask(layer, "/livez")
        conversation = await _ask(layer, "/quick", kind="websocket")
        service.may_start.set()

    assert probe == [START, END]
    assert conversation == [START, END]


def test_refuses_to_let_nothing_through(service: Service) -> None:
    with pytest.raises(ConfigurationError):
        LoadSheddingMiddleware(service, max_in_flight=0, retry_after=timedelta(seconds=1))
