import json
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.middleware import AccessLogMiddleware
from fastapi_baseline.middleware.access_log import Exchange
from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.settings import LogSettings
from fastapi_baseline.testing import ManualClock

# Machines that run tests are busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
SCOPE: Scope = {"type": "http", "method": "GET", "path": "/x", "client": ("127.0.0.1", 1)}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="fastapi_baseline.access")
    return caplog


def lines(log: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(line)["fields"] for line in log.records if line.name == "fastapi_baseline.access"]


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/orders")

    @router.get("/{number}")
    async def get_order(number: int) -> str:
        return "ordered"

    @router.post("")
    async def add_order(request: Request) -> int:
        return len(await request.body())

    app.include_router(router, prefix="/v1")
    app.add_middleware(AccessLogMiddleware, silent_paths={"/livez", "/v1/orders/2"})
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def nothing_more() -> Message:
    return {"type": "http.disconnect"}


async def ignore(message: Message) -> None:
    pass


def answering(*messages: Message, then: Callable[[], None] = lambda: None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        then()

    return app


def start(status: int = 200) -> Message:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(text: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": text, "more_body": more}


async def test_says_what_was_asked_and_answered(
    client: AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/v1/orders/1?token=hunter2")

    (fields,) = lines(log)
    assert fields["method"] == "GET"
    assert fields["path"] == "/v1/orders/1"
    assert fields["route"] == "/v1/orders/{number}"
    assert fields["status"] == 200
    assert fields["response_bytes"] == len('"ordered"')
    assert fields["duration_ms"] >= fields["ttfb_ms"] >= 0
    assert "hunter2" not in str(fields)


async def test_counts_the_body_that_was_read(
    client: AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.post("/v1/orders", content=b"x" * 1000)

    assert lines(log)[0]["request_bytes"] == 1000


async def test_has_no_route_for_what_no_route_answered(
    client: AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/nothing")

    assert lines(log)[0]["route"] is None


async def test_is_silent_about_probes_that_succeed(
    client: AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/v1/orders/2")

    assert lines(log) == []


async def test_is_loud_about_probes_that_fail(
    client: AsyncClient, log: pytest.LogCaptureFixture
) -> None:
    await client.get("/livez")

    assert lines(log)[0]["status"] == 404


async def test_measures_the_first_byte_and_the_last(log: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(timedelta(milliseconds=20))
        await send(start())
        clock.advance(timedelta(seconds=5))
        await send(body(b"ab", more=True))
        await send(body(b"c"))

    await AccessLogMiddleware(app, clock=clock)(SCOPE, nothing_more, ignore)

    (fields,) = lines(log)
    assert (fields["ttfb_ms"], fields["duration_ms"]) == (20, 5020)
    assert fields["response_bytes"] == 3
    # The client was slow, or wanted a stream: the service was not.
    assert "slow" not in fields
    assert log.records[0].levelno == logging.INFO


async def test_warns_about_what_is_slow(log: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.advance(timedelta(seconds=3))
        await send(start())
        await send(body())

    log_settings = LogSettings(slow_request=timedelta(seconds=2), success_ratio=0)
    await AccessLogMiddleware(app, clock=clock, settings=log_settings)(SCOPE, nothing_more, ignore)

    assert lines(log)[0]["slow"] is True
    assert log.records[0].levelno == logging.WARNING


@pytest.mark.parametrize(
    ("status", "level"), [(200, "INFO"), (404, "INFO"), (500, "WARNING"), (503, "WARNING")]
)
async def test_warns_about_what_the_service_is_to_blame_for(
    status: int, level: str, log: pytest.LogCaptureFixture
) -> None:
    await AccessLogMiddleware(answering(start(status), body()))(SCOPE, nothing_more, ignore)

    assert log.records[0].levelname == level


async def test_notes_a_client_that_left_before_the_response(
    log: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(start())
        await send(body())

    await AccessLogMiddleware(app)(SCOPE, nothing_more, ignore)

    assert lines(log)[0]["status"] == 499


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConnectionResetError, 499),
        (BrokenPipeError, 499),
        (ClientDisconnect, 499),
        (RuntimeError, 500),
        (FileNotFoundError, 500),
    ],
)
async def test_tells_clients_that_have_gone_from_defects(
    error: type[Exception], status: int, log: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(error):
        await AccessLogMiddleware(answering(then=fail))(SCOPE, nothing_more, ignore)

    assert lines(log)[0]["status"] == status
    assert "ttfb_ms" not in lines(log)[0]


async def test_notes_a_response_that_was_cut_short(log: pytest.LogCaptureFixture) -> None:
    app = answering(start(), body(b"half", more=True))

    await AccessLogMiddleware(app, settings=LogSettings(success_ratio=0))(
        SCOPE, nothing_more, ignore
    )

    assert lines(log)[0]["incomplete"] is True


async def test_takes_a_file_that_the_server_sends_for_complete(
    log: pytest.LogCaptureFixture,
) -> None:
    app = answering(start(), {"type": "http.response.pathsend", "path": "/tmp/file"})  # noqa: S108 -- not opened

    await AccessLogMiddleware(app)(SCOPE, nothing_more, ignore)

    assert "incomplete" not in lines(log)[0]


@pytest.mark.parametrize(("status", "number"), [(200, 0), (404, 1), (500, 1)])
async def test_leaves_out_successes_as_it_is_told(
    status: int, number: int, log: pytest.LogCaptureFixture
) -> None:
    layer = AccessLogMiddleware(
        answering(start(status), body()), settings=LogSettings(success_ratio=0)
    )

    await layer(SCOPE, nothing_more, ignore)

    assert len(lines(log)) == number


async def test_leaves_out_about_the_share_that_it_is_told(log: pytest.LogCaptureFixture) -> None:
    layer = AccessLogMiddleware(answering(start(), body()), settings=LogSettings(success_ratio=0.5))

    for _ in range(1000):
        await layer(SCOPE, nothing_more, ignore)

    assert 300 < len(lines(log)) < 700


def in_context(request: RequestContext) -> Callable[[ASGIApp], ASGIApp]:
    def wrap(app: ASGIApp) -> ASGIApp:
        async def inside(scope: Scope, receive: Receive, send: Send) -> None:
            token = request_context.set(request)
            try:
                await app(scope, receive, send)
            finally:
                request_context.reset(token)

        return inside

    return wrap


async def test_has_the_fields_of_the_request(log: pytest.LogCaptureFixture) -> None:
    request = RequestContext(request_id="abcdefgh", fields={"order": 7, "status": "paid"})
    layer = AccessLogMiddleware(answering(start(), body()))

    await in_context(request)(layer)(SCOPE, nothing_more, ignore)

    (fields,) = lines(log)
    assert (fields["order"], fields["status"], fields["status_"]) == (7, 200, "paid")


async def test_counts_statements(log: pytest.LogCaptureFixture) -> None:
    request = RequestContext(request_id="abcdefgh")
    request.statements.record("select 1", 0.001)
    request.statements.record("select 2", 0.002)

    await in_context(request)(AccessLogMiddleware(answering(start(), body())))(
        SCOPE, nothing_more, ignore
    )

    (fields,) = lines(log)
    assert (fields["db_statements"], fields["db_ms"]) == (2, 3.0)
    assert "db_repeated" not in fields
    assert log.records[0].levelno == logging.INFO


@pytest.mark.parametrize(("times", "is_warning"), [(5, False), (6, True)])
async def test_warns_about_statements_that_repeat(
    times: int, is_warning: bool, log: pytest.LogCaptureFixture
) -> None:
    request = RequestContext(request_id="abcdefgh")
    request.statements.record("select name from customers", 0.001)
    for _ in range(times):
        request.statements.record("select * from items where id = ?", 0.001)
    layer = AccessLogMiddleware(answering(start(), body()), repeated_statements=5)

    await in_context(request)(layer)(SCOPE, nothing_more, ignore)

    (fields,) = lines(log)
    assert (log.records[0].levelno == logging.WARNING) is is_warning
    assert fields.get("db_repeated") == (6 if is_warning else None)
    if is_warning:
        assert fields["db_repeated_statement"] == "select * from items where id = ?"


class Observer:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[Exchange] = []

    def begin(self, method: str) -> None:
        self.begun.append(method)

    def end(self, exchange: Exchange) -> None:
        self.ended.append(exchange)


class FailingObserver:
    def begin(self, method: str) -> None:
        raise RuntimeError

    def end(self, exchange: Exchange) -> None:
        raise RuntimeError


async def test_tells_who_observes_about_every_request(log: pytest.LogCaptureFixture) -> None:
    observer = Observer()
    clock = ManualClock()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        clock.advance(timedelta(seconds=2))
        await send(body(b"abc"))
        # What runs after the response.
        clock.advance(timedelta(seconds=30))

    layer = AccessLogMiddleware(
        app,
        clock=clock,
        observer=observer,
        silent_paths={"/livez"},
        settings=LogSettings(success_ratio=0),
    )

    await layer({**SCOPE, "method": "FOOBAR"}, nothing_more, ignore)
    await layer({**SCOPE, "path": "/livez"}, nothing_more, ignore)

    assert observer.begun == ["_OTHER"]
    assert observer.ended == [
        Exchange(
            method="_OTHER",
            route=None,
            status=200,
            request_bytes=0,
            response_bytes=3,
            duration_s=2.0,
        )
    ]


async def test_does_not_fail_because_of_who_observes(log: pytest.LogCaptureFixture) -> None:
    layer = AccessLogMiddleware(answering(start(), body()), observer=FailingObserver())

    await layer(SCOPE, nothing_more, ignore)

    assert [record.levelname for record in log.records] == ["ERROR", "ERROR", "INFO"]


async def test_tells_who_observes_nothing_about_a_probe_that_fails(
    log: pytest.LogCaptureFixture,
) -> None:
    observer = Observer()
    app = answering(start(503), body())
    layer = AccessLogMiddleware(app, observer=observer, silent_paths={"/livez"})

    await layer({**SCOPE, "path": "/livez"}, nothing_more, ignore)

    assert (observer.begun, observer.ended, len(lines(log))) == ([], [], 1)


async def test_tells_who_observes_that_a_request_which_fails_is_over(
    log: pytest.LogCaptureFixture,
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    observer = Observer()

    with pytest.raises(LookupError):
        await AccessLogMiddleware(fail, observer=observer)(SCOPE, nothing_more, ignore)

    assert [exchange.status for exchange in observer.ended] == [500]


async def test_streams_what_it_counts(app: FastAPI, log: pytest.LogCaptureFixture) -> None:
    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"x" * 10

        return StreamingResponse(parts())

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        await client.get("/stream")

    (fields,) = lines(log)
    assert fields["response_bytes"] == 30
    assert "incomplete" not in fields


@UNHURRIED
@given(path=st.text(st.characters(exclude_categories=())), method=st.text())
async def test_any_path_is_one_line_without_control_characters(path: str, method: str) -> None:
    written: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(JsonFormatter().format(record))

    logger, handler = logging.getLogger("fastapi_baseline.access"), Kept()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    # What pytest captures must be text that can be sent to the process that reports it.
    logger.propagate = False
    try:
        await AccessLogMiddleware(answering(start(), body()))(
            {**SCOPE, "path": path, "method": method}, nothing_more, ignore
        )
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True

    (line,) = written
    assert line.isprintable()
    assert line.isascii()
    assert json.loads(line)["status"] == 200


async def test_passes_other_scopes_through(log: pytest.LogCaptureFixture) -> None:
    reached: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        reached.append(scope["type"])

    await AccessLogMiddleware(app)({"type": "lifespan"}, nothing_more, ignore)

    assert reached == ["lifespan"]
    assert lines(log) == []
