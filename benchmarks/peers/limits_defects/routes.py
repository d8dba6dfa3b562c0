"""Probes of which requests slowapi limits, and by what it tells them apart."""

from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.routing import APIRoute

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of
from benchmarks.peers.limits_defects.limited import (
    ENVIRONMENT,
    LAYERS,
    PEER,
    answers,
    application,
    limiter,
    statuses,
)


async def _answer() -> str:
    return "done"


@probe("included_routes", peer=PEER, environment=ENVIRONMENT)
async def included_routes() -> Seen:
    """Ask an included router four times, with a default of two, behind either middleware."""
    seen: dict[str, list[int | None]] = {}
    for layer in LAYERS:
        app = application(limiter(default_limits=["2/minute"]), layer)
        router = APIRouter()
        router.get("/included")(_answer)
        app.include_router(router, prefix="/v1")
        seen[layer.__name__] = await statuses(app, *["/v1/included"] * 4)
    return Seen(any(429 not in each for each in seen.values()), f"{seen}")


@probe("unmatched_requests", peer=PEER, environment=ENVIRONMENT)
async def unmatched_requests() -> Seen:
    """Ask four times for what is not there, for another method, and for a mounted application."""
    limits = limiter(application_limits=["2/minute"])
    app, mounted = application(limits), FastAPI()
    app.get("/here")(_answer)
    mounted.get("/thing")(_answer)
    app.mount("/mounted", mounted)
    seen = {path: await statuses(app, *[path] * 4) for path in ("/nowhere", "/mounted/thing")}
    asked = [await ask(app, scope_of("/here", method="DELETE")) for _ in range(4)]
    seen["DELETE"] = [answer.status for answer in asked]
    return Seen(any(429 not in each for each in seen.values()), f"{seen}")


class _Counted(APIRoute):
    """A route that counts how often it is compared with a request."""

    compared = 0

    def matches(self, scope):
        _Counted.compared += 1
        return super().matches(scope)


@probe("cost_by_routes", peer=PEER, environment=ENVIRONMENT)
async def cost_by_routes() -> Seen:
    """Ask the first of a hundred routes, and count how many are compared with the request."""
    seen: dict[str, int] = {}
    for name, layer in (("FastAPI", None), ("slowapi", LAYERS[0])):
        app = application(limiter(default_limits=["100/minute"]), layer)
        app.router.route_class = _Counted
        for number in range(100):
            app.get(f"/route-{number}")(_answer)
        _Counted.compared = 0
        await ask(app, scope_of("/route-0"))
        seen[name] = _Counted.compared
    return Seen(seen["slowapi"] > seen["FastAPI"], f"comparisons: {seen}")


@probe("plain_handlers", peer=PEER, environment=ENVIRONMENT)
async def plain_handlers() -> Seen:
    """Limit a handler that has no parameter for the request."""
    try:
        limiter().limit("2/minute")(_answer)
    except Exception as error:  # noqa: BLE001 - what it raises is what is recorded
        return Seen(
            has_defect=True, observed=f"{type(error).__name__}: {error}".partition(" on ")[0]
        )
    return Seen(has_defect=False, observed="limited")


@probe("headers_of_plain_handlers", peer=PEER, environment=ENVIRONMENT)
async def headers_of_plain_handlers() -> Seen:
    """Send headers from a handler that has no parameter for the response."""
    limits = limiter(headers_enabled=True)
    app = application(limits, layer=None)

    @app.get("/")
    @limits.limit("2/minute")
    async def handle(request: Request) -> dict[str, str]:
        return {"method": request.method}

    seen = await statuses(app, "/")
    return Seen(seen != [200], f"{seen}")


@probe("handlers_of_a_factory", peer=PEER, environment=ENVIRONMENT)
async def handlers_of_a_factory() -> Seen:
    """Ask four routes that one function has made, each of which may be asked four times."""
    limits = limiter(key_style="endpoint")
    app = application(limits, layer=None)

    def make(name: str):
        @limits.limit("4/minute")
        async def handler(request: Request) -> str:
            return f"{name} {request.method}"

        return handler

    for name in ("a", "b", "c", "d"):
        app.get(f"/{name}")(make(name))
    seen = await statuses(app, "/a", "/b", "/c", "/d")
    return Seen(429 in seen, f"the first request of each: {seen}")


@probe("exempt_handler_of_a_factory", peer=PEER, environment=ENVIRONMENT)
async def exempt_handler_of_a_factory() -> Seen:
    """Exempt one of two handlers that one function has made, and ask the other."""
    limits = limiter(default_limits=["1/minute"])
    app = application(limits)

    def make():
        async def handler() -> str:
            return "done"

        return handler

    app.get("/free")(limits.exempt(make()))
    app.get("/limited")(make())
    seen = await statuses(app, "/limited", "/limited", "/limited")
    return Seen(429 not in seen, f"the one that is not exempt, at 1/minute: {seen}")


@probe("path_parameters", peer=PEER, environment=ENVIRONMENT)
async def path_parameters() -> Seen:
    """Ask one route four times, each with another value in the path, with a limit of two."""
    limits = limiter()
    app = application(limits, layer=None)

    @app.get("/users/{user_id}")
    @limits.limit("2/minute")
    async def get_user(request: Request, user_id: int) -> str:
        return f"{user_id} {request.method}"

    seen = await statuses(app, *(f"/users/{number}" for number in range(4)))
    return Seen(429 not in seen, f"{seen}, {len(limits._storage.storage)} keys")  # noqa: SLF001


@probe("websockets", peer=PEER, environment=ENVIRONMENT)
async def websockets() -> Seen:
    """Limit a WebSocket, as the decorator allows."""
    limits = limiter()
    app = application(limits, layer=None)
    raised: list[str] = []

    @limits.limit("2/minute")
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    @app.websocket("/")
    async def noted(websocket: WebSocket) -> None:
        try:
            await talk(websocket=websocket)
        except Exception as error:
            raised.append(f"{error}")
            raise

    await ask(app, scope_of(kind="websocket"))
    return Seen(bool(raised), f"{raised or 'accepted'}")


@probe("requests_that_are_let_through", peer=PEER, environment=ENVIRONMENT)
async def requests_that_are_let_through() -> Seen:
    """Leave the check to the handler, as an option says."""
    limits = limiter(auto_check=False)
    app = application(limits, layer=None)

    @app.get("/")
    @limits.limit("2/minute")
    async def handle(request: Request) -> str:
        return request.method

    seen = await statuses(app, "/")
    return Seen(seen != [200], f"auto_check=False: {seen}")


@probe("request_of_a_limit", peer=PEER, environment=ENVIRONMENT)
async def request_of_a_limit() -> Seen:
    """Look up a plan without blocking, by what the request says; likewise a key."""
    seen: dict[str, str] = {}

    async def key(request: Request) -> str:
        return request.headers["host"]

    async def plan(request: Request) -> str:
        return "1/minute" if request.headers["host"] else "2/minute"

    for name, options in (("key", {"key_func": key}), ("plan", {})):
        limits = limiter(**options)
        app = application(limits, layer=None)
        limit = limits.limit("1/minute" if options else plan)

        @app.get("/")
        @limit
        async def handle(request: Request) -> str:
            return request.method

        found = [answer.status for answer in await answers(app, "/", "/")]
        seen[name] = f"{found}"
    is_limited = all(found == "[200, 429]" for found in seen.values())
    return Seen(not is_limited, f"async, at 1/minute: {seen}")
