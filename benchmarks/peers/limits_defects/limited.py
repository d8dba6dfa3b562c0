"""What the probes of slowapi share: an application as its documentation sets it up."""

from collections.abc import Callable, Sequence

from fastapi import FastAPI
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address

from benchmarks.peers.http_defects.serving import Answer, ask, scope_of

PEER, ENVIRONMENT = "slowapi", "limits"
LAYERS: Sequence[Callable[..., object]] = (SlowAPIMiddleware, SlowAPIASGIMiddleware)


def limiter(**options: object) -> Limiter:
    """Return a limiter by the address of the client."""
    return Limiter(**{"key_func": get_remote_address, **options})


def application(
    limits: Limiter, layer: Callable[..., object] | None = SlowAPIMiddleware
) -> FastAPI:
    """Return an application that has a limiter, and the layer of its default limits if any."""
    app = FastAPI()
    app.state.limiter = limits
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    if layer is not None:
        app.add_middleware(layer)
    return app


async def statuses(app: FastAPI, *paths: str) -> list[int | None]:
    """Return how each path is answered, one after the other."""
    return [answer.status for answer in await answers(app, *paths)]


async def answers(app: FastAPI, *paths: str) -> list[Answer]:
    """Return the answers, one after the other."""
    return [await ask(app, scope_of(path)) for path in paths]
