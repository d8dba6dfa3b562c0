"""The contenders, each as an application that is ready to be served."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Request, Response
from joserfc import jwt
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from starlette.types import ASGIApp

from benchmarks._http.service import Item
from benchmarks._one_route import ROUTE, get_item
from benchmarks._rounds import BARE
from fastapi_baseline.auth import Authentication, Authenticator, Principal, RequireScopes
from fastapi_baseline.auth.principals import SELF
from fastapi_baseline.auth.sessions import MemorySessionStore, SessionAuthenticator, Sessions
from fastapi_baseline.auth.sessions.redis import RedisSessionStore
from fastapi_baseline.auth.tokens import BearerTokens, TrustedIssuer
from fastapi_baseline.clock import SystemClock
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers
from fastapi_baseline.redis import create_redis
from fastapi_baseline.settings.auth import SessionSettings, TokenSettings

AUDIENCE, SCOPE = "https://api.example.com", "items:read"
RS256, ES256 = "RS256", "ES256"
JOSERFC_RS256, JOSERFC_ES256 = "joserfc alone, RS256", "joserfc alone, ES256"
SESSION, SESSION_REDIS = "a session in memory", "a session on Redis"
ALGORITHMS = (RS256, ES256)
SIGN_IN = "/benchmark/sign-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What is outside of a contender."""

    issuer: str = ""
    keys: Mapping[str, Any] | None = None
    """What the issuer publishes, for those who do not fetch it."""
    redis: str = ""


def make(name: str, places: Places) -> ASGIApp:
    """Return the application of a contender."""
    return _MAKERS[name](places)


def _bare(_places: Places) -> FastAPI:
    return _add_route(FastAPI())


def _add_route(app: FastAPI, *guards: Callable[..., Any]) -> FastAPI:
    dependencies = [Depends(guard) for guard in guards]
    app.get(ROUTE, response_model=Item, dependencies=dependencies)(get_item)
    return app


def _guarded(authenticators: Sequence[Authenticator], lifespan: Any) -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    for error, handler in make_exception_handlers(validation_status=422).items():
        app.add_exception_handler(error, handler)
    app.state.authentication = Authentication(authenticators)
    return _add_route(app, RequireScopes(all=[SCOPE]))


def _bearer(places: Places) -> FastAPI:
    """Return a route that is for those who have a token with a scope."""
    tokens = make_tokens(places)
    return _guarded([tokens], tokens.lifespan)


def make_tokens(places: Places) -> BearerTokens:
    """Return what verifies the tokens of the issuer, whichever algorithm they are signed with."""
    issuer = TrustedIssuer(issuer=places.issuer, audiences=frozenset({AUDIENCE}))
    return BearerTokens(issuers=[issuer], settings=TokenSettings(), clock=SystemClock())


def make_decode(places: Places) -> Callable[[str], Mapping[str, Any]]:
    """Return what joserfc needs to verify a token, with keys that are there, and nothing more."""
    keys: Any = KeySet.import_key_set(dict(places.keys or {}))  # pyright: ignore[reportArgumentType] -- a mapping, typed by its keys
    registry = JWSRegistry(algorithms=[*ALGORITHMS], strict_check_header=False)
    claims = jwt.JWTClaimsRegistry(
        leeway=30,
        iss={"essential": True, "value": places.issuer},
        aud={"essential": True, "values": [AUDIENCE]},
        exp={"essential": True},
        sub={"essential": True},
    )

    def decode(token: str) -> Mapping[str, Any]:
        found = jwt.decode(token, keys, registry=registry).claims
        claims.validate(found)
        return found

    return decode


def _joserfc(places: Places) -> FastAPI:
    """Return a route that is for those who have a token with a scope, written with joserfc."""
    decode = make_decode(places)

    async def check(authorization: Annotated[str, Header()]) -> None:
        if SCOPE not in decode(authorization.removeprefix("Bearer "))["scope"].split(" "):
            raise PermissionError

    return _add_route(FastAPI(), check)


def _session(places: Places) -> FastAPI:
    """Return a route that is for those who have a session, and one where anybody gets one."""
    redis = create_redis(places.redis) if places.redis else None
    store = RedisSessionStore(redis) if redis else MemorySessionStore()
    sessions = Sessions(store, settings=SessionSettings(enabled=True), clock=SystemClock())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
        yield
        if redis is not None:
            await redis.aclose()

    app = _guarded([SessionAuthenticator(sessions)], lifespan)

    @app.get(SIGN_IN)
    async def sign_in(request: Request, response: Response) -> None:
        scopes = frozenset({SCOPE})
        somebody = Principal(issuer=SELF, subject="u1", transport="session", scopes=scopes)
        await sessions.start(request, response, somebody)

    return app


_MAKERS: Mapping[str, Callable[[Places], ASGIApp]] = {
    BARE: _bare,
    RS256: _bearer,
    ES256: _bearer,
    JOSERFC_RS256: _joserfc,
    JOSERFC_ES256: _joserfc,
    SESSION: lambda _places: _session(Places()),
    SESSION_REDIS: _session,
}
NAMES = tuple(_MAKERS)
