import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline import ConfigurationError, DeadlineExceededError, context
from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.middleware.deadline import DeadlineMiddleware, deadline
from fastapi_baseline.testing import ManualClock

SHORT = timedelta(milliseconds=20)
LONG = timedelta(hours=1)
START: Message = {"type": "http.response.start", "status": 200, "headers": []}
PART: Message = {"type": "http.response.body", "body": b"part", "more_body": True}
END: Message = {"type": "http.response.body", "body": b"end"}

Work = Callable[[Send], Awaitable[None]]


async def _answer(
    work: Work,
    *,
    allowed: timedelta | None = SHORT,
    grace: timedelta = LONG,
    kind: str = "http",
    path: str = "/x",
) -> list[Message]:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await work(send)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    layer = DeadlineMiddleware(app, timeout=allowed, grace=grace, exempt_paths={"/livez"})
    await layer({"type": kind, "path": path, "method": "GET", "headers": []}, receive, send)
    return sent


async def _hang(send: Send) -> None:
    await asyncio.Event().wait()


async def test_gives_a_request_up_that_takes_too_long() -> None:
    with pytest.raises(DeadlineExceededError):
        await _answer(_hang)


async def test_leaves_the_task_as_it_was() -> None:
    with pytest.raises(DeadlineExceededError):
        await _answer(_hang)

    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_lets_a_request_end_in_time() -> None:
    async def work(send: Send) -> None:
        await send(START)
        await send(END)

    assert await _answer(work, allowed=LONG) == [START, END]


async def test_lets_a_stream_take_any_time_once_it_has_begun() -> None:
    async def work(send: Send) -> None:
        await send(START)
        await asyncio.sleep(SHORT.total_seconds() * 3)
        await send(PART)
        await send(END)

    assert await _answer(work) == [START, PART, END]


async def test_lets_what_runs_after_the_response_take_any_time() -> None:
    async def work(send: Send) -> None:
        await send(START)
        await send(END)
        await asyncio.sleep(SHORT.total_seconds() * 3)

    assert await _answer(work) == [START, END]


async def test_lets_the_application_clean_up_first() -> None:
    steps: list[str] = []

    async def work(send: Send) -> None:
        try:
            await _hang(send)
        finally:
            await asyncio.sleep(0)
            steps.append("rolled back")

    with pytest.raises(DeadlineExceededError):
        await _answer(work)

    assert steps == ["rolled back"]


async def test_reaches_into_groups_of_tasks() -> None:
    async def work(send: Send) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(_hang(send))
            group.create_task(_hang(send))

    with pytest.raises(DeadlineExceededError):
        await _answer(work)


async def test_takes_no_timeout_of_the_application_for_its_own() -> None:
    async def work(send: Send) -> None:
        async with asyncio.timeout(0):
            await _hang(send)

    with pytest.raises(TimeoutError):
        await _answer(work, allowed=LONG)


async def test_takes_no_cancellation_from_outside_for_its_own() -> None:
    begun = asyncio.Event()

    async def work(send: Send) -> None:
        begun.set()
        await _hang(send)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(_answer(work, allowed=LONG))
        await begun.wait()
        task.cancel()

    assert task.cancelled()


async def test_lets_a_cancellation_from_outside_win() -> None:
    async def work(send: Send) -> None:
        try:
            await _hang(send)
        finally:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(_answer(work))

    assert task.cancelled()


async def test_knows_its_cancellation_when_a_driver_has_renamed_it() -> None:
    async def work(send: Send) -> None:
        try:
            await _hang(send)
        except asyncio.CancelledError as error:
            raise ConnectionError from error

    with pytest.raises(DeadlineExceededError) as caught:
        await _answer(work)

    assert isinstance(caught.value.__cause__, ConnectionError)


async def test_leaves_an_error_alone_that_came_in_time() -> None:
    async def work(send: Send) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await _answer(work, allowed=LONG)


async def test_delivers_a_late_response_while_nobody_has_answered() -> None:
    async def work(send: Send) -> None:
        try:
            await _hang(send)
        except asyncio.CancelledError:
            await send(START)
            await send(END)

    assert await _answer(work) == [START, END]


async def test_answers_for_code_that_ends_without_an_answer() -> None:
    async def work(send: Send) -> None:
        try:
            await _hang(send)
        except asyncio.CancelledError:
            return

    with pytest.raises(DeadlineExceededError):
        await _answer(work)


async def _answer_stubborn(last: Work, *, grace: timedelta = SHORT) -> list[Message]:
    """Answer with an application that does not end before the client has its answer."""
    answered = asyncio.Event()
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not answered.is_set():
            try:
                await answered.wait()
            except asyncio.CancelledError:
                continue
        await last(send)

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            answered.set()

    layer = DeadlineMiddleware(app, timeout=SHORT, grace=grace)
    await layer({"type": "http", "path": "/x", "method": "GET", "headers": []}, receive, send)
    return sent


async def test_answers_for_code_that_swallows_the_cancellation(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def last(send: Send) -> None:
        await send(START)
        await send(END)

    start, body = await _answer_stubborn(last)

    assert start["status"] == 504
    assert json.loads(body["body"])["code"] == "deadline_exceeded"
    assert "does not heed" in caplog.text


async def test_logs_what_such_code_raises_in_the_end(caplog: pytest.LogCaptureFixture) -> None:
    async def last(send: Send) -> None:
        raise RuntimeError("too late")

    sent = await _answer_stubborn(last)

    assert [message.get("status") for message in sent] == [504, None]
    assert "too late" in caplog.text


async def test_forgets_a_cancellation_that_comes_through_in_the_end() -> None:
    async def last(send: Send) -> None:
        raise asyncio.CancelledError

    sent = await _answer_stubborn(last)

    task = asyncio.current_task()
    assert sent[0]["status"] == 504
    assert task is not None
    assert task.cancelling() == 0


async def test_says_how_much_time_is_left() -> None:
    clock = ManualClock()
    left: list[timedelta | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(timedelta(minutes=20))
        left.append(context.remaining_time())
        await send(START)
        left.append(context.remaining_time())

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        pass

    request_context.set(RequestContext(request_id="abcdefgh"))
    layer = DeadlineMiddleware(app, timeout=LONG, clock=clock)
    await layer({"type": "http", "path": "/x", "headers": []}, receive, send)

    assert left[0] is not None
    assert timedelta(minutes=39) < left[0] <= timedelta(minutes=40)
    assert left[1] is None


@pytest.mark.parametrize(
    ("kind", "path"), [("websocket", "/x"), ("lifespan", "/x"), ("http", "/livez")]
)
async def test_leaves_probes_and_other_scopes_alone(kind: str, path: str) -> None:
    async def work(send: Send) -> None:
        await asyncio.sleep(SHORT.total_seconds() * 3)
        await send(END)

    assert await _answer(work, kind=kind, path=path) == [END]


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1)])
def test_refuses_a_deadline_that_leaves_no_time(timeout: timedelta) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError

    with pytest.raises(ConfigurationError):
        DeadlineMiddleware(app, timeout=timeout)
    with pytest.raises(ConfigurationError):
        deadline(timeout)


class Parcel(BaseModel):
    weight: int


async def _nap() -> str:
    await asyncio.sleep(SHORT.total_seconds() * 3)
    return "done"


async def _add_parcel(parcel: Parcel) -> int:
    return parcel.weight


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    app.get("/default")(_nap)
    app.get("/slow", dependencies=[Depends(deadline(LONG))])(_nap)
    app.get("/endless", dependencies=[Depends(deadline(None))])(_nap)
    app.post("/parcels")(_add_parcel)

    @app.get("/left", dependencies=[Depends(deadline(timedelta(minutes=10)))])
    def show_left(allowed: Annotated[None, Depends(deadline(timedelta(minutes=5)))]) -> float:
        left = context.remaining_time()
        assert left is not None
        return left.total_seconds()

    patient = APIRouter(prefix="/patient", dependencies=[Depends(deadline(LONG))])
    patient.get("/default")(_nap)
    patient.get("/short", dependencies=[Depends(deadline(SHORT))])(_nap)
    patient.post("/parcels")(_add_parcel)
    app.include_router(patient)
    return app


def _served(app: ASGIApp, *, timeout: timedelta | None = SHORT) -> AsyncClient:
    async def contextual(scope: Scope, receive: Receive, send: Send) -> None:
        request_context.set(RequestContext(request_id="abcdefgh"))
        try:
            await DeadlineMiddleware(app, timeout=timeout)(scope, receive, send)
        except DeadlineExceededError:
            await send({"type": "http.response.start", "status": 504, "headers": []})
            await send(END)

    return AsyncClient(transport=ASGITransport(contextual), base_url="http://test")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/default", 504),
        ("/slow", 200),
        ("/endless", 200),
        ("/patient/default", 200),
        ("/patient/short", 504),
    ],
)
async def test_lets_the_innermost_deadline_count(app: FastAPI, path: str, status: int) -> None:
    async with _served(app) as client:
        answer = await client.get(path)

    assert answer.status_code == status


async def test_lets_a_route_have_a_deadline_where_others_have_none(app: FastAPI) -> None:
    async with _served(app, timeout=None) as client:
        default = await client.get("/default")
        short = await client.get("/patient/short")

    assert (default.status_code, short.status_code) == (200, 504)


@pytest.mark.parametrize(("path", "status"), [("/parcels", 504), ("/patient/parcels", 200)])
async def test_gives_the_reading_of_the_body_the_time_of_the_route(
    app: FastAPI, path: str, status: int
) -> None:
    async def slow_body() -> AsyncGenerator[bytes]:
        yield b'{"weight"'
        await _nap()
        yield b": 7}"

    async with _served(app) as client:
        answer = await client.post(
            path, content=slow_body(), headers={"content-type": "application/json"}
        )

    assert answer.status_code == status


async def test_counts_from_the_beginning_of_the_request(app: FastAPI) -> None:
    async with _served(app) as client:
        answer = await client.get("/left")

    assert 299 < answer.json() <= 300


async def test_does_nothing_without_the_layer(app: FastAPI) -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/patient/short")

    assert answer.json() == "done"


async def test_leaves_a_response_alone_that_has_begun() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await deadline(SHORT)(Request(scope))
        await _nap()
        await send(END)

    async with _served(app) as client:
        answer = await client.get("/x")

    assert answer.status_code == 200
