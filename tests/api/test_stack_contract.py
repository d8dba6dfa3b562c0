"""Defects that were found in other layers around FastAPI, one test for each: here none may be.

`benchmarks/peers/http_defects` shows each of them where it is.
"""

import json
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterable

import pytest
from fastapi import APIRouter, FastAPI, Response, WebSocket
from fastapi.responses import PlainTextResponse, StreamingResponse
from httpx2 import AsyncClient
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Scope

from fastapi_baseline import Settings, context, create_app
from fastapi_baseline.observability import JsonFormatter
from fastapi_baseline.observability.metrics import make_metrics_router
from fastapi_baseline.settings import (
    ConditionalRequestsSettings,
    MetricsSettings,
    RequestSettings,
)
from fastapi_baseline.testing import running

ORIGIN = "https://app.example"
LONG = "x" * 5_000


def _application() -> FastAPI:
    settings = Settings(
        environment="test",
        cors_origins=(ORIGIN,),
        metrics=MetricsSettings(body_sizes=True),
        requests=RequestSettings(),
    )
    app = create_app(settings, configure_logging=False)
    inner, outer, mounted = APIRouter(), APIRouter(prefix="/contract"), FastAPI()

    @inner.get("/{item_id}")
    async def get_item(item_id: int) -> int:
        current = context.current()
        assert current is not None
        current.fields["item"] = item_id
        return item_id

    @mounted.get("/thing/{thing_id}")
    async def get_thing(thing_id: int) -> int:
        return thing_id

    outer.include_router(inner, prefix="/items")
    app.include_router(outer)
    app.include_router(router)
    app.mount("/contract-mount", mounted)
    return app


router = APIRouter()


@router.get("/fails")
async def fail() -> None:
    raise RuntimeError("unexpected")


@router.websocket("/socket")
async def refuse(socket: WebSocket) -> None:
    await socket.send_denial_response(PlainTextResponse("not you", status_code=403))


async def _parts() -> AsyncIterator[bytes]:
    yield b"first"
    yield b"second"


@router.get("/contract-streamed")
async def stream() -> Response:
    return StreamingResponse(_parts())


@router.get("/contract-long")
async def answer_at_length() -> Response:
    return PlainTextResponse(LONG)


@router.api_route("/tagged", methods=["GET", "POST"])
async def answer_with_tag() -> Response:
    return PlainTextResponse(LONG, headers={"etag": '"v1"'})


@router.get("/small")
async def answer_briefly() -> Response:
    return PlainTextResponse("small")


@router.get("/untransformed")
async def answer_as_it_is() -> Response:
    return PlainTextResponse(LONG, headers={"cache-control": "no-transform"})


@router.get("/events")
async def tell_events() -> Response:
    return StreamingResponse(_parts(), media_type="text/event-stream")


@router.get("/missing")
async def answer_that_it_is_missing() -> Response:
    return PlainTextResponse("missing", status_code=404, headers={"etag": '"v1"'})


@pytest.fixture
async def client() -> AsyncGenerator[AsyncClient]:
    async with running(_application()) as client:
        yield client


async def _refusal(app: ASGIApp, path: str) -> Message:
    """Return the beginning of the answer that refuses a WebSocket."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]


async def test_an_unexpected_error_has_the_headers_of_any_other_answer(
    client: AsyncClient,
) -> None:
    answer = await client.get("/fails", headers={"origin": ORIGIN})

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "strict-transport-security" in answer.headers
    assert answer.headers["access-control-allow-origin"] == ORIGIN


async def test_a_refused_websocket_has_the_headers_of_any_other_answer() -> None:
    started = await _refusal(_application(), "/socket")

    names = {name for name, _ in started["headers"]}
    assert (started["type"], started["status"]) == ("websocket.http.response.start", 403)
    assert {b"x-request-id", b"x-content-type-options"} <= names


async def test_what_a_handler_adds_to_the_context_stands_in_the_access_line(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="fastapi_baseline.access"):
        await client.get("/contract/items/7")

    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert [line.get("item") for line in lines if "status" in line] == [7]


async def _series(client: AsyncClient, metric: str) -> dict[str, float]:
    """Return the series of a metric and their values."""
    text = (await client.get("/metrics", headers={"accept-encoding": "identity"})).text
    pairs = [line.rpartition(" ") for line in text.splitlines() if line.startswith(metric)]
    return {name: float(value) for name, _, value in pairs}


async def test_the_size_of_a_streamed_body_is_counted(client: AsyncClient) -> None:
    plain = {"accept-encoding": "identity"}

    await client.get("/contract-long", headers=plain)
    await client.get("/contract-streamed", headers=plain)

    sizes = await _series(client, "http_server_response_body_size_bytes_sum")
    (streamed,) = [value for name, value in sizes.items() if '"/contract-streamed"' in name]
    assert streamed == len(b"firstsecond")


async def test_routes_are_recorded_as_whole_templates(client: AsyncClient) -> None:
    await client.get("/contract/items/3")
    await client.get("/contract-mount/thing/4")

    series = " ".join(await _series(client, "http_server_request_duration_seconds_count"))
    assert '"/contract/items/{item_id}"' in series
    assert '"/contract-mount/thing/{thing_id}"' in series


async def test_made_up_methods_and_paths_make_no_time_series(client: AsyncClient) -> None:
    await client.request("MADEUP0", "/nowhere/0")
    before = set(await _series(client, "http_server"))

    for number in range(1, 20):
        await client.request(f"MADEUP{number}", f"/nowhere/{number}")

    assert set(await _series(client, "http_server")) == before
    assert "MADEUP" not in " ".join(before)
    assert "nowhere" not in " ".join(before)


class _Noted(Collector):
    """A metric that notes which thread asks for it."""

    def __init__(self) -> None:
        self.asked_in: set[int] = set()

    def collect(self) -> Iterable[Metric]:
        self.asked_in.add(threading.get_ident())
        return []


async def test_metrics_are_collected_in_a_thread() -> None:
    registry, noted = CollectorRegistry(), _Noted()
    registry.register(noted)
    noted.asked_in.clear()
    app = FastAPI()
    app.include_router(make_metrics_router(registry))

    async with running(app) as client:
        await client.get("/metrics")

    assert noted.asked_in
    assert threading.get_ident() not in noted.asked_in


async def test_strong_tags_differ_between_encodings(client: AsyncClient) -> None:
    codings = ("identity", "gzip", "br", "zstd")

    tags = [
        (await client.get("/tagged", headers={"accept-encoding": coding})).headers["etag"]
        for coding in codings
    ]

    assert len(set(tags)) == len(codings)


@pytest.mark.parametrize(
    "accepted", ["gzip;q=0", "identity, gzip; q=0.0", "br;q=0, gzip;q=0", "*;q=0"]
)
async def test_an_encoding_of_weight_zero_is_not_used(accepted: str, client: AsyncClient) -> None:
    answer = await client.get("/tagged", headers={"accept-encoding": accepted})

    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("path", "accepted"), [("/small", "gzip"), ("/tagged", "identity")])
async def test_vary_is_sent_also_with_what_is_not_compressed(
    path: str, accepted: str, client: AsyncClient
) -> None:
    answer = await client.get(path, headers={"accept-encoding": accepted})

    assert "content-encoding" not in answer.headers
    assert "accept-encoding" in answer.headers["vary"].lower()


@pytest.mark.parametrize("path", ["/untransformed", "/events"])
async def test_what_must_stay_as_it_is_is_not_compressed(path: str, client: AsyncClient) -> None:
    answer = await client.get(path, headers={"accept-encoding": "gzip, br, zstd"})

    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


async def test_a_post_is_never_answered_with_304(client: AsyncClient) -> None:
    answer = await client.post("/tagged", headers={"if-none-match": '"v1"'})

    assert answer.status_code == 200


@pytest.mark.parametrize("wanted", ['"v0", "v1"', "*", 'W/"v1"', '"v1"'])
async def test_if_none_match_takes_lists_stars_and_weak_tags(
    wanted: str, client: AsyncClient
) -> None:
    sent = {"if-none-match": wanted, "accept-encoding": "identity"}

    answer = await client.get("/tagged", headers=sent)

    assert answer.status_code == 304


async def test_an_error_is_never_answered_with_304(client: AsyncClient) -> None:
    answer = await client.get("/missing", headers={"if-none-match": '"v1"'})

    assert answer.status_code == 404


@pytest.fixture
async def tagging_client() -> AsyncGenerator[AsyncClient]:
    settings = Settings(
        environment="test", conditional_requests=ConditionalRequestsSettings(make_etags=True)
    )
    app = create_app(settings, configure_logging=False)
    app.include_router(router)
    async with running(app) as client:
        yield client


async def test_tags_are_made_in_quotes(tagging_client: AsyncClient) -> None:
    answer = await tagging_client.get("/small")

    tag = answer.headers["etag"].removeprefix("W/")
    assert (tag[0], tag[-1]) == ('"', '"')


async def test_a_stream_passes_what_makes_tags_unchanged(tagging_client: AsyncClient) -> None:
    answer = await tagging_client.get("/contract-streamed")

    assert (answer.status_code, answer.text) == (200, "firstsecond")
    assert "etag" not in answer.headers
