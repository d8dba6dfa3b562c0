"""The headers of every class of response, as one table."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
import pytest
from fastapi import APIRouter, FastAPI, Response, WebSocket
from fastapi.responses import RedirectResponse, StreamingResponse
from httpx2 import AsyncClient
from starlette.types import Message, Scope

from fastapi_baseline import (
    BaselineError,
    ConflictError,
    ForbiddenError,
    PreconditionRequiredError,
    Settings,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    create_app,
)
from fastapi_baseline.settings import RequestSettings
from fastapi_baseline.testing import running

ORIGIN = "https://a.example"
LARGE = "x" * 5_000
WAIT = timedelta(seconds=3)

ERRORS: Mapping[str, BaselineError] = {
    "401": UnauthenticatedError(challenge="Bearer"),
    "403": ForbiddenError(),
    "409": ConflictError(),
    "428": PreconditionRequiredError(),
    "429": TooManyRequestsError(retry_after=WAIT),
    "503": UnavailableError(retry_after=WAIT),
}

SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "cross-origin-resource-policy": "same-origin",
}
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# RFC 9110, section 8.8.3.
ENTITY_TAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A request, the status of its response, and the headers that it has and has not."""

    name: str
    method: str = "GET"
    path: str
    status: int
    sent: Mapping[str, str] = field(default_factory=dict[str, str])
    content: bytes = b""
    has: Mapping[str, str] = field(default_factory=dict[str, str])
    has_not: frozenset[str] = frozenset()


_PROBLEM = {"content-type": "application/problem+json", "cache-control": "no-store"}
_NOT_SHOWN = frozenset({"content-length", "content-type", "content-encoding"})
_NO_RETRY = frozenset({"retry-after"})
_GZIP = {"accept-encoding": "gzip"}
_TAGGED = {"cache-control": "private, max-age=5", "content-location": "/tagged/7"}

CASES = (
    Case(name="small", path="/ok", status=200, has={"cache-control": "no-store"}, sent=_GZIP),
    Case(name="head", method="HEAD", path="/ok", status=405, has={"allow": "GET"}),
    Case(
        name="tagged",
        path="/tagged",
        status=200,
        has={**_TAGGED, "etag": '"7"'},
        sent={"accept-encoding": "identity"},
        has_not=frozenset({"content-encoding"}),
    ),
    Case(
        name="tagged and compressed",
        path="/tagged",
        status=200,
        sent=_GZIP,
        has={**_TAGGED, "etag": '"7-gzip"', "content-encoding": "gzip"},
    ),
    Case(
        name="weak and compressed",
        path="/weak",
        status=200,
        sent=_GZIP,
        has={"etag": 'W/"7"', "content-encoding": "gzip"},
    ),
    Case(
        name="no coding is acceptable",
        path="/tagged",
        status=200,
        sent={"accept-encoding": "gzip;q=0, *;q=0"},
        has={"etag": '"7"'},
        has_not=frozenset({"content-encoding"}),
    ),
    Case(
        name="not modified",
        path="/tagged",
        status=304,
        sent={"accept-encoding": "identity", "if-none-match": 'W/"6", "7"'},
        has={**_TAGGED, "etag": '"7"'},
        has_not=_NOT_SHOWN,
    ),
    Case(
        name="compressed and not modified",
        path="/tagged",
        status=304,
        sent={**_GZIP, "if-none-match": '"7-gzip"'},
        has={**_TAGGED, "etag": '"7-gzip"'},
        has_not=_NOT_SHOWN,
    ),
    Case(
        name="another version is meant",
        path="/tagged",
        status=412,
        sent={"if-match": '"6"'},
        has=_PROBLEM,
    ),
    Case(name="created", method="POST", path="/created", status=201),
    Case(
        name="created, whatever the client has",
        method="POST",
        path="/created",
        status=201,
        sent={"if-none-match": '"1"'},
        has={"etag": '"1"'},
    ),
    Case(
        name="no content",
        method="DELETE",
        path="/gone",
        status=204,
        has_not=frozenset({"content-length", "content-encoding"}),
    ),
    Case(name="redirect", path="/moved", status=307, has={"location": "/ok"}),
    Case(
        name="stream", path="/stream", status=200, sent=_GZIP, has_not=frozenset({"content-length"})
    ),
    Case(
        name="events",
        path="/events",
        status=200,
        sent=_GZIP,
        has={"content-type": "text/event-stream; charset=utf-8"},
        has_not=frozenset({"content-encoding", "content-length"}),
    ),
    Case(name="no such path", path="/nothing", status=404, has=_PROBLEM),
    Case(name="no such method", method="PUT", path="/ok", status=405, has=_PROBLEM),
    Case(name="not a number", path="/number/many", status=422, has=_PROBLEM),
    Case(
        name="too large", method="POST", path="/take", status=413, content=b"x" * 101, has=_PROBLEM
    ),
    Case(
        name="nobody", path="/fails/401", status=401, has={**_PROBLEM, "www-authenticate": "Bearer"}
    ),
    Case(name="forbidden", path="/fails/403", status=403, has=_PROBLEM),
    Case(name="conflict", path="/fails/409", status=409, has=_PROBLEM),
    Case(name="not conditional", path="/fails/428", status=428, has=_PROBLEM),
    Case(name="too often", path="/fails/429", status=429, has={**_PROBLEM, "retry-after": "3"}),
    Case(name="defect", path="/crash", status=500, has=_PROBLEM),
    Case(name="unavailable", path="/fails/503", status=503, has={**_PROBLEM, "retry-after": "3"}),
    Case(name="too slow", path="/slow", status=504, has=_PROBLEM),
    Case(
        name="another host",
        path="/ok",
        status=400,
        sent={"host": "other.example"},
        has=_PROBLEM,
    ),
    Case(
        name="preflight",
        method="OPTIONS",
        path="/ok",
        status=200,
        sent={"access-control-request-method": "GET"},
        has={"access-control-allow-origin": ORIGIN},
    ),
)


router = APIRouter()


@router.get("/ok")
async def ok() -> dict[str, bool]:
    return {"ok": True}


@router.get("/tagged")
async def tagged(response: Response) -> str:
    response.headers["ETag"] = '"7"'
    response.headers["Cache-Control"] = "private, max-age=5"
    response.headers["Content-Location"] = "/tagged/7"
    return LARGE


@router.get("/weak")
async def weak(response: Response) -> str:
    response.headers["ETag"] = 'W/"7"'
    return LARGE


@router.post("/created", status_code=201)
async def create(response: Response) -> str:
    response.headers["ETag"] = '"1"'
    return "made"


@router.delete("/gone", status_code=204)
async def delete() -> None:
    pass


@router.get("/moved")
async def move() -> Response:
    return RedirectResponse("/ok")


@router.get("/stream")
async def stream() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"part"

    return StreamingResponse(parts(), media_type="text/plain")


@router.get("/events")
async def events() -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"data: " + LARGE.encode() + b"\n\n"

    return StreamingResponse(parts(), media_type="text/event-stream")


@router.get("/number/{value}")
async def number(value: int) -> int:
    return value


@router.post("/take")
async def take(body: dict[str, str]) -> int:
    return len(body)


@router.get("/slow")
async def wait() -> None:
    await anyio.sleep_forever()


@router.get("/crash")
async def crash() -> None:
    raise RuntimeError("broken")


@router.get("/fails/{status}")
async def fail(status: str) -> None:
    raise ERRORS[status]


@router.websocket("/refused")
async def refuse(socket: WebSocket) -> None:
    await socket.close(code=1008)


@router.websocket("/broken")
async def break_down(socket: WebSocket) -> None:
    raise RuntimeError("broken")


def _application() -> FastAPI:
    settings = Settings(
        cors_origins=(ORIGIN,),
        trusted_hosts=("testserver",),
        requests=RequestSettings(max_body_size=100, timeout=timedelta(milliseconds=50)),
    )
    app = create_app(settings, configure_logging=False)
    app.include_router(router)
    return app


@pytest.fixture
async def app() -> FastAPI:
    return _application()


@pytest.fixture
async def client(app: FastAPI) -> AsyncGenerator[AsyncClient]:
    async with running(app) as client:
        yield client


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
async def test_gives_every_class_of_response_its_headers(case: Case, client: AsyncClient) -> None:
    sent = {"accept-encoding": "identity", "origin": ORIGIN, **case.sent}

    answer = await client.request(case.method, case.path, headers=sent, content=case.content)

    headers = answer.headers
    assert answer.status_code == case.status
    assert {name: headers.get(name) for name in SECURITY} == SECURITY
    assert REQUEST_ID.fullmatch(headers["x-request-id"])
    assert len(headers.get_list("x-request-id")) == 1
    assert {name: headers.get(name) for name in case.has} == dict(case.has)
    assert not {name for name in case.has_not if name in headers}
    assert "server" not in headers
    # Who may read it does not depend on how it went.
    if case.name != "another host":
        assert headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in headers["vary"].lower()
    # RFC 9110, section 10.2.3: with 503 and 429; a redirect could have it, and does not.
    assert ("retry-after" in headers) == (case.status in {429, 503})
    if "etag" in headers:
        assert ENTITY_TAG.fullmatch(headers["etag"])
    if "content-encoding" in headers or case.path in {"/tagged", "/weak", "/stream"}:
        assert "accept-encoding" in headers["vary"].lower()
    if case.status >= 400 and case.method != "HEAD":
        assert answer.json()["request_id"] == headers["x-request-id"]
        assert answer.json()["status"] == case.status


@pytest.mark.parametrize(("path", "status"), [("/refused", 403), ("/broken", 500), ("/none", 403)])
async def test_gives_a_refused_websocket_the_headers_of_a_response(
    path: str, status: int, app: FastAPI
) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver"), (b"origin", ORIGIN.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }

    await app(scope, receive, send)

    start, body = sent
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert {name: headers.get(name) for name in SECURITY} == SECURITY
    assert REQUEST_ID.fullmatch(headers["x-request-id"])
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"].encode() in body["body"]
