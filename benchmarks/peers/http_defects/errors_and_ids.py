"""Probes of what every answer should have: asgi-correlation-id, secure, and Starlette's CORS."""

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import FastAPI, WebSocket
from fastapi.responses import PlainTextResponse
from secure.middleware import SecureASGIMiddleware
from starlette.middleware.base import BaseHTTPMiddleware  # noqa: TID251 - it is the peer
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of

ORIGIN = "https://app.example"


def _application() -> FastAPI:
    app = FastAPI()

    @app.get("/fails")
    async def fails() -> None:
        raise RuntimeError("unexpected")

    @app.websocket("/socket")
    async def socket(socket: WebSocket) -> None:
        await socket.send_denial_response(PlainTextResponse("not you", status_code=403))

    return app


async def _on_a_500(app: FastAPI, *headers: str) -> Seen:
    answer = await ask(app, scope_of("/fails", headers={"origin": ORIGIN}))
    seen = {header: answer.header(header) for header in headers}
    return Seen(None in seen.values(), f"{answer.status} with {seen}")


async def _on_a_refusal(app: ASGIApp, header: str) -> Seen:
    answer = await ask(app, scope_of("/socket", kind="websocket"))
    return Seen(
        answer.header(header) is None, f"{answer.status}, {header}: {answer.header(header)}"
    )


@probe("id_of_a_500", peer="asgi-correlation-id", environment="http")
async def id_of_a_500() -> Seen:
    """Raise what nobody expected, inside of the middleware as it is documented."""
    app = _application()
    app.add_middleware(CorrelationIdMiddleware)
    return await _on_a_500(app, "x-request-id")


@probe("headers_of_a_500", peer="secure", environment="http")
async def headers_of_a_500() -> Seen:
    """Likewise."""
    app = _application()
    app.add_middleware(SecureASGIMiddleware)
    return await _on_a_500(app, "x-content-type-options", "strict-transport-security")


@probe("cors_of_a_500", peer="starlette", environment="http")
async def cors_of_a_500() -> Seen:
    """Likewise, from an origin that may read the answer."""
    app = _application()
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN])
    return await _on_a_500(app, "access-control-allow-origin")


@probe("refused_socket", peer="asgi-correlation-id", environment="http")
async def refused_socket_id() -> Seen:
    """Ask for a WebSocket that is refused with an answer."""
    app = _application()
    app.add_middleware(CorrelationIdMiddleware)
    return await _on_a_refusal(app, "x-request-id")


@probe("refused_socket", peer="secure", environment="http")
async def refused_socket_headers() -> Seen:
    """Likewise."""
    app = _application()
    app.add_middleware(SecureASGIMiddleware)
    return await _on_a_refusal(app, "x-content-type-options")


@probe("context_of_a_request", peer="structlog", environment="http")
async def context_of_a_request() -> Seen:
    """Bind a value where it is known, and look for it in the access line of an `http` middleware."""
    found: dict[str, object] = {}

    async def access_log(request, call_next):
        clear_contextvars()
        response = await call_next(request)
        found.update(get_contextvars())
        return response

    app = FastAPI()
    app.add_middleware(BaseHTTPMiddleware, dispatch=access_log)

    @app.get("/")
    async def handle() -> None:
        bind_contextvars(order_id=7)

    await ask(app, scope_of())
    return Seen("order_id" not in found, f"the access line has {found}")
