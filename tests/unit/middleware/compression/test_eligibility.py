import pytest
from fastapi import APIRouter, Depends, FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from fastapi_baseline.middleware.compression import CompressionMiddleware, leave_uncompressed
from fastapi_baseline.middleware.compression.eligibility import may_be_encoded, may_have_coding
from fastapi_baseline.settings import CompressionSettings


@pytest.mark.parametrize(
    ("content_type", "dense"),
    [
        (b"application/json", False),
        (b"application/problem+json", False),
        (b"application/x-ndjson", False),
        (b"text/plain; charset=utf-8", False),
        (b"text/html", False),
        (b"image/svg+xml", False),
        (b"image/bmp", False),
        (b"application/wasm", False),
        (b"font/ttf", False),
        (b"", False),
        (b"image/png", True),
        (b"IMAGE/PNG; x=1", True),
        (b"image/webp", True),
        (b"video/mp4", True),
        (b"audio/mpeg", True),
        (b"font/woff2", True),
        (b"application/zip", True),
        (b"application/epub+zip", True),
        (b"application/gzip", True),
        (b"application/pdf", True),
        (b"application/octet-stream", True),
        (b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", True),
    ],
)
def test_knows_what_hardly_gets_smaller(content_type: bytes, dense: bool) -> None:
    headers = {b"content-type": content_type}

    assert may_be_encoded(headers, minimum_size=1) is not dense
    assert may_be_encoded(headers, minimum_size=1, even_dense=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"content-type", b"multipart/x-mixed-replace; boundary=x"),
        (b"content-type", b"application/grpc+proto"),
        (b"content-encoding", b"gzip"),
        (b"content-encoding", b"identity"),
        (b"cache-control", b"no-transform"),
        (b"cache-control", b"public, No-Transform, max-age=60"),
        (b"repr-digest", b"sha-256=:AAAA:"),
        (b"content-digest", b"sha-256=:AAAA:"),
        (b"digest", b"sha-256=AAAA"),
        (b"content-md5", b"AAAA"),
    ],
)
def test_knows_what_must_stay_as_it_is(name: bytes, value: bytes) -> None:
    assert not may_be_encoded({name: value}, minimum_size=1, even_dense=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"cache-control", b"no-transformation"),
        (b"cache-control", b"x-no-transform"),
        (b"content-language", b"en"),
        (b"x-digest", b"1"),
    ],
)
def test_is_not_misled_by_what_looks_alike(name: bytes, value: bytes) -> None:
    assert may_be_encoded({name: value}, minimum_size=1)


@pytest.mark.parametrize(
    ("length", "worth_it"),
    [(b"0", False), (b"9", False), (b"10", True), (b"1024", True), (b"-1", True), (b"many", True)],
)
def test_knows_what_is_too_small(length: bytes, worth_it: bool) -> None:
    assert may_be_encoded({b"content-length": length}, minimum_size=10) is worth_it


@pytest.mark.parametrize("status", [200, 201, 203, 301, 404, 412, 500])
def test_knows_which_statuses_have_a_whole_body(status: int) -> None:
    assert may_have_coding({}, status)


@pytest.mark.parametrize("status", [100, 103, 204, 205, 206, 304])
def test_knows_which_statuses_have_none(status: int) -> None:
    assert not may_have_coding({}, status)


def test_a_request_can_ask_for_no_coding() -> None:
    scope = {"type": "http"}

    leave_uncompressed(HTTPConnection(scope))

    assert not may_have_coding(scope, 200)


def _secretive_app() -> FastAPI:
    async def show() -> PlainTextResponse:
        return PlainTextResponse("secret" * 1_000)

    router = APIRouter(prefix="/included")
    router.add_api_route("/secret", show, dependencies=[Depends(leave_uncompressed)])
    router.add_api_route("/open", show)
    mounted = FastAPI()
    mounted.include_router(router)
    app = FastAPI()
    app.include_router(router)
    app.include_router(router, prefix="/all", dependencies=[Depends(leave_uncompressed)])
    app.mount("/mounted", mounted)
    app.add_middleware(CompressionMiddleware, settings=CompressionSettings())
    return app


@pytest.mark.parametrize(
    ("path", "encoding"),
    [
        ("/included/secret", None),
        ("/included/open", "gzip"),
        ("/all/included/open", None),
        ("/mounted/included/secret", None),
        ("/mounted/included/open", "gzip"),
    ],
)
async def test_routes_can_leave_their_responses_uncompressed(
    path: str, encoding: str | None
) -> None:
    transport = ASGITransport(_secretive_app())
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        response = await client.get(path, headers={"Accept-Encoding": "gzip"})

    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.text == "secret" * 1_000
