"""Probes of fastapi-limiter, which limits by a dependency."""

from fastapi import APIRouter, Depends, FastAPI
from fastapi_limiter.depends import RateLimiter
from pyrate_limiter import Duration, Limiter, Rate

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import ask, scope_of
from benchmarks.peers.limits_defects.limited import ENVIRONMENT

PEER = "fastapi-limiter"


async def _answer() -> str:
    return "done"


def _two_a_minute() -> object:
    return Depends(RateLimiter(limiter=Limiter(Rate(2, Duration.MINUTE))))


def _application() -> FastAPI:
    app = FastAPI()
    app.get("/", dependencies=[_two_a_minute()])(_answer)
    return app


@probe("included_routes", peer=PEER, environment=ENVIRONMENT)
async def included_routes() -> Seen:
    """Ask an included router four times, with a limit of two."""
    app, router = FastAPI(), APIRouter()
    router.get("/included", dependencies=[_two_a_minute()])(_answer)
    app.include_router(router, prefix="/v1")
    found = [(await ask(app, scope_of("/v1/included"))).status for _ in range(4)]
    return Seen(found != [200, 200, 429, 429], f"{found}")


@probe("limit_of_a_caller", peer=PEER, environment=ENVIRONMENT)
async def limit_of_a_caller() -> Seen:
    """Use up the limit of one caller, and ask as another."""
    app = _application()
    for _ in range(2):
        await ask(app, scope_of())
    other = {**scope_of(), "client": ("198.51.100.7", 50000)}
    status = (await ask(app, other)).status
    return Seen(status == 429, f"the first request of another caller: {status}")


@probe("address_of_a_client", peer=PEER, environment=ENVIRONMENT)
async def address_of_a_client() -> Seen:
    """Send a header of proxies from a client, with another first address each time."""
    scope = scope_of(headers={"x-forwarded-for": "chosen by the client, 203.0.113.9"})
    seen: list[str] = []

    async def note(request: object) -> str:
        from fastapi_limiter.identifier import default_identifier  # noqa: PLC0415 - the peer's own

        seen.append(await default_identifier(request))
        return seen[-1]

    app = FastAPI()
    limit = RateLimiter(limiter=Limiter(Rate(2, Duration.MINUTE)), identifier=note)
    app.get("/", dependencies=[Depends(limit)])(_answer)
    await ask(app, scope)
    return Seen("chosen" in str(seen), f"key: {seen}")


@probe("path_parameters", peer=PEER, environment=ENVIRONMENT)
async def path_parameters() -> Seen:
    """Make the keys of two values in the path of one route, with the identifier as it is."""
    from fastapi_limiter.identifier import default_identifier  # noqa: PLC0415 - the peer's own

    app = FastAPI()
    keys: set[str] = set()

    async def note(request: object) -> str:
        keys.add(await default_identifier(request))
        return "one"

    limit = RateLimiter(limiter=Limiter(Rate(9, Duration.MINUTE)), identifier=note)
    app.get("/users/{user_id}", dependencies=[Depends(limit)])(_answer)
    for number in range(2):
        await ask(app, scope_of(f"/users/{number}"))
    return Seen(len(keys) > 1, f"keys of one route: {sorted(keys)}")


@probe("retry_after_of_a_refusal", peer=PEER, environment=ENVIRONMENT)
async def retry_after_of_a_refusal() -> Seen:
    """Exceed the limit, and look when to come again."""
    app = _application()
    answer = [await ask(app, scope_of()) for _ in range(3)][-1]
    value = answer.header("retry-after")
    return Seen(answer.status == 429 and value is None, f"{answer.status}, Retry-After: {value}")


@probe("problem_of_a_refusal", peer=PEER, environment=ENVIRONMENT)
async def problem_of_a_refusal() -> Seen:
    """Likewise, and look at the body."""
    app = _application()
    answer = [await ask(app, scope_of()) for _ in range(3)][-1]
    kind = answer.header("content-type")
    return Seen(kind != "application/problem+json", f"{answer.status} {kind}")


@probe("cost_by_routes", peer=PEER, environment=ENVIRONMENT)
async def cost_by_routes() -> Seen:
    """Ask the first of a hundred routes, and count those whose path is compared with it."""
    compared: list[str] = []

    class Noted(str):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            compared.append(str(self))
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    app = FastAPI()
    app.get("/asked", dependencies=[_two_a_minute()])(_answer)
    for number in range(100):
        app.get(f"/route-{number}")(_answer)
    for route in app.routes:
        route.path = Noted(route.path)
    await ask(app, scope_of("/asked"))
    return Seen(len(compared) > 100, f"{len(compared)} routes compared")
