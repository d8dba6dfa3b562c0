"""Probes of compression and of conditional requests."""

from collections.abc import AsyncIterator, Callable, Mapping

from asgi_etags import ETagMiddleware
from brotli_asgi import BrotliMiddleware
from fastapi import Depends, FastAPI
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from fastapi_etag import Etag, add_exception_handler
from starlette.middleware.gzip import GZipMiddleware
from starlette_compress import CompressMiddleware

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import Answer, ask, scope_of

GZIP, COMPRESS, BROTLI = "starlette", "starlette-compress", "brotli-asgi"
_LAYERS: Mapping[str, Callable[..., object]] = {
    GZIP: GZipMiddleware,
    COMPRESS: CompressMiddleware,
    BROTLI: BrotliMiddleware,
}


def _compressed(peer: str) -> FastAPI:
    app = FastAPI()

    @app.get("/tagged")
    async def tagged() -> Response:
        return PlainTextResponse("x" * 5000, headers={"etag": '"v1"'})

    @app.get("/small")
    async def small() -> Response:
        return PlainTextResponse("small")

    @app.get("/untransformed")
    async def untransformed() -> Response:
        return PlainTextResponse("x" * 5000, headers={"cache-control": "no-transform"})

    async def parts() -> AsyncIterator[bytes]:
        yield b"data: " + b"x" * 5000 + b"\n\n"
        yield b"data: second\n\n"

    @app.get("/events")
    async def events() -> Response:
        return StreamingResponse(parts(), media_type="text/event-stream")

    app.add_middleware(_LAYERS[peer])
    return app


async def _get(peer: str, path: str, accepts: str = "gzip, br, zstd") -> Answer:
    return await ask(_compressed(peer), scope_of(path, headers={"accept-encoding": accepts}))


def _for_each(line: str, run: Callable[[str], object]) -> None:
    """Register a probe of a line for each of the layers that compress."""
    for peer in _LAYERS:

        async def of_peer(peer: str = peer) -> Seen:
            return await run(peer)

        probe(line, peer=peer, environment="http")(of_peer)


async def _tags(peer: str) -> Seen:
    """Compare the strong tag of a compressed body with that of the plain one."""
    packed, plain = await _get(peer, "/tagged"), await _get(peer, "/tagged", "identity")
    seen = {str(one.header("content-encoding")): one.header("etag") for one in (packed, plain)}
    tag = str(packed.header("etag"))
    return Seen(tag == plain.header("etag") and not tag.startswith("W/"), f"tags: {seen}")


async def _refused(peer: str) -> Seen:
    """Refuse an encoding by its weight, in the ways in which that is written."""
    asked = ("gzip;q=0", "identity, gzip; q=0.0", "br;q=0, gzip;q=0")
    encodings = {
        accepts: (await _get(peer, "/tagged", accepts)).header("content-encoding")
        for accepts in asked
    }
    return Seen(any(encodings.values()), f"{encodings}")


async def _varies(peer: str) -> Seen:
    """Look for Vary on answers that were not compressed, but could have been otherwise."""
    small = (await _get(peer, "/small")).header("vary")
    plain = (await _get(peer, "/tagged", "identity")).header("vary")
    return Seen(None in {small, plain}, f"Vary of a small body: {small}, uncompressed: {plain}")


async def _transforms(peer: str) -> Seen:
    """Compress what says that no one may transform it."""
    encoding = (await _get(peer, "/untransformed")).header("content-encoding")
    return Seen(encoding is not None, f"content-encoding: {encoding}")


async def _streams(peer: str) -> Seen:
    """Compress an event stream, whose reader waits for each event."""
    encoding = (await _get(peer, "/events")).header("content-encoding")
    return Seen(encoding is not None, f"content-encoding: {encoding}")


_for_each("tag_of_an_encoding", _tags)
_for_each("refused_encoding", _refused)
_for_each("vary_always", _varies)
_for_each("no_transform", _transforms)
_for_each("event_stream", _streams)


def _tagged_by_dependency(*, weak: bool = True) -> FastAPI:
    app = FastAPI()
    add_exception_handler(app)
    tag = Depends(Etag(lambda _request: "v1", weak=weak))

    @app.api_route("/", methods=["GET", "POST"], dependencies=[tag])
    async def handle() -> str:
        return "done"

    return app


def _tagged_by_layer() -> FastAPI:
    app = FastAPI()

    @app.api_route("/", methods=["GET", "POST"])
    async def handle() -> str:
        return "done"

    async def parts() -> AsyncIterator[bytes]:
        yield b"first"
        yield b"second"

    @app.get("/streamed")
    async def streamed() -> Response:
        return StreamingResponse(parts())

    app.add_middleware(ETagMiddleware, etag_generator=lambda _body: '"v1"')
    return app


_TAGS = {"fastapi-etag": 'W/"v1"', "asgi-etags": '"v1"'}
_TAGGED = {"fastapi-etag": _tagged_by_dependency, "asgi-etags": _tagged_by_layer}


async def _posts(peer: str) -> Seen:
    """Write with `If-None-Match`."""
    scope = scope_of(method="POST", headers={"if-none-match": _TAGS[peer]})
    answer = await ask(_TAGGED[peer](), scope)
    return Seen(answer.status == 304, f"POST: {answer.status}")


async def _lists(peer: str) -> Seen:
    """Read what has not changed, with the forms of `If-None-Match` that the standard has."""
    tag = _TAGS[peer]
    other = tag.removeprefix("W/") if tag.startswith("W/") else f"W/{tag}"
    forms = (f'"v0", {tag}', "*", other)
    statuses = {
        form: (await ask(_TAGGED[peer](), scope_of(headers={"if-none-match": form}))).status
        for form in forms
    }
    return Seen(set(statuses.values()) != {304}, f"{statuses}")


for _peer in _TAGGED:
    for _line, _run in (("conditional_post", _posts), ("tag_forms", _lists)):

        async def _of_peer(run=_run, peer: str = _peer) -> Seen:
            return await run(peer)

        probe(_line, peer=_peer, environment="http")(_of_peer)


@probe("tag_syntax", peer="fastapi-etag", environment="http")
async def tag_syntax() -> Seen:
    """Look at a strong tag."""
    tag = (await ask(_tagged_by_dependency(weak=False), scope_of())).header("etag")
    return Seen(tag is None or not tag.endswith('"'), f"ETag: {tag}")


@probe("tagged_stream", peer="asgi-etags", environment="http")
async def tagged_stream() -> Seen:
    """Stream a body in two parts through what makes tags."""
    answer = await ask(_tagged_by_layer(), scope_of("/streamed"))
    return Seen(len(answer.starts) != 1, f"{len(answer.starts)} beginnings of one response")


@probe("tagged_error", peer="asgi-etags", environment="http")
async def tagged_error() -> Seen:
    """Ask for what is not there, with the tag of what was."""
    scope = scope_of("/nowhere", headers={"if-none-match": _TAGS["asgi-etags"]})
    answer = await ask(_tagged_by_layer(), scope)
    return Seen(answer.status == 304, f"what does not exist: {answer.status}")
