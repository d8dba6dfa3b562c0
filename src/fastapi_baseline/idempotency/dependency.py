"""What a route says so that a repeated request is carried out once only."""

import inspect
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends, Header
from starlette.exceptions import HTTPException  # noqa: TID251 -- see `_ReplayError`
from starlette.requests import Request

from fastapi_baseline import context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.idempotency.errors import (
    IdempotencyKeyMissingError,
    IdempotencyKeyReusedError,
    IdempotencyUnavailableError,
    RequestInFlightError,
    ResponseNotKeptError,
)
from fastapi_baseline.idempotency.exchange import SCOPE_KEY, Claim, Exchange
from fastapi_baseline.idempotency.fingerprint import digest, fingerprint_of
from fastapi_baseline.idempotency.keys import EXAMPLE, HEADER, SAFE_METHODS, find_key
from fastapi_baseline.idempotency.store import Record

CREDENTIAL_HEADERS = ("authorization", "cookie", "x-api-key")
"""What tells callers apart where nothing else is known of them."""
REQUIRED_DESCRIPTION = (
    "A text that the client makes up for this request, such as a UUID, and sends again when it "
    "repeats the request. What was done is not done again: the answer is the one of the first time."
)
OPTIONAL_DESCRIPTION = f"{REQUIRED_DESCRIPTION} Without it, a repeated request is a new one."
_RETRY_AFTER = timedelta(seconds=1)


class _ReplayError(HTTPException):
    """Ends a request whose response is known.

    It is of the one kind that every application has a handler for, also one that is mounted; the
    layer around the application drops what the handler makes of it.
    """

    def __init__(self) -> None:
        super().__init__(status_code=HTTPStatus.NO_CONTENT)


class Idempotent:
    """A dependency: carry out a request with an `Idempotency-Key` once, and then repeat its answer.

        @router.post("/payments", dependencies=[Depends(Idempotent(caller=get_user_id))])

    Keys belong to who sends them, and to a route. `caller` is the dependency that knows who that
    is: it comes first, so whoever may not enter gets no answer, and what it returns tells callers
    apart. Without it, they are told apart by `context.RequestContext.principal`, or else by the
    credentials in their headers.

    A route gets the key as the value of the dependency. Safe methods need no key and ignore it.
    """

    def __init__(
        self,
        *,
        required: bool = True,
        lifetime: timedelta | None = None,
        caller: Callable[..., Any] | None = None,
    ) -> None:
        """Remember for `lifetime`, by default that of the settings.

        Unless the key is `required`, requests without it are carried out each time.
        """
        self._required = required
        self._lifetime = lifetime
        # FastAPI reads what a dependency needs from its signature.
        self.__signature__ = _signature_of(required=required, caller=caller)

    async def __call__(self, request: Request, **solved: Any) -> str | None:
        """Claim the key of a request, and return it.

        Raises:
            IdempotencyKeyMissingError: If there is none, and one is required.
            InvalidIdempotencyKeyError: If it is none.
            IdempotencyKeyReusedError: If it came with another request before.
            RequestInFlightError: If the same request is being carried out.
            ResponseNotKeptError: If it was carried out, and its response is lost.
            IdempotencyUnavailableError: If the store does not answer.
            ConfigurationError: If the application has no `IdempotencyCaptureMiddleware`.
        """
        key: str | None = solved["key"]
        if key is None:
            return None
        exchange = _exchange_of(request)
        if exchange.claim is None:
            scope = _scope_of(request, solved.get("caller"), has_caller="caller" in solved)
            await _claim(request, exchange, digest([*scope, key]))
        if exchange.claim is not None and self._lifetime is not None:
            exchange.claim.lifetime = self._lifetime
        return key


async def _claim(request: Request, exchange: Exchange, key: str) -> None:
    fingerprint = await fingerprint_of(request, exchange.body)
    # It is ours before the store says so: whoever is cancelled meanwhile has to release it.
    claim = exchange.claim = Claim(key=key, token=uuid4().hex, lifetime=exchange.settings.lifetime)
    try:
        record = await exchange.store.claim(
            key,
            token=claim.token,
            fingerprint=fingerprint,
            lock_timeout=exchange.settings.lock_timeout,
        )
    except IdempotencyUnavailableError:
        # Whoever waits for the refusal need not wait for a second one.
        exchange.claim = None
        raise
    if record is None:
        _note("claimed")
        return
    exchange.claim = None
    _answer_from(record, exchange, fingerprint=fingerprint)


def _answer_from(record: Record, exchange: Exchange, *, fingerprint: str) -> None:
    if record.fingerprint != fingerprint:
        _note("reused")
        raise IdempotencyKeyReusedError
    if record.response is None:
        _note("in_flight")
        raise RequestInFlightError(retry_after=_RETRY_AFTER)
    if record.response.body is None:
        _note("not_kept")
        raise ResponseNotKeptError
    _note("replayed")
    exchange.replay = record.response
    raise _ReplayError


def _exchange_of(request: Request) -> Exchange:
    exchange = request.scope.get(SCOPE_KEY)
    if not isinstance(exchange, Exchange):
        raise ConfigurationError(
            "An Idempotent route needs IdempotencyCaptureMiddleware around the application, which "
            "create_app() and install() add."
        )
    return exchange


def _scope_of(request: Request, caller: object, *, has_caller: bool) -> list[str | None]:
    """Return what a key belongs to: a tenant, a caller, and a route."""
    current = context.current()
    tenant = current.tenant if current else None
    if has_caller:
        kind, who = "caller", _text_of(caller)
    elif current is not None and current.principal is not None:
        kind, who = "principal", _text_of(current.principal)
    else:
        headers = request.headers
        kind, who = (
            "credentials",
            digest(part for name in CREDENTIAL_HEADERS for part in (name, *headers.getlist(name))),
        )
    return [tenant, kind, who, request.method, _route_of(request)]


def _text_of(caller: object) -> str | None:
    if caller is None:
        return None
    kind = type(caller)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        # Its text would be its place in memory: another one for every request.
        raise ConfigurationError(
            f"Callers are told apart by their text, and {kind.__name__} has none: give it a "
            "__str__, or give Idempotent(caller=...) something that returns an identifier."
        )
    return str(caller)


def _route_of(request: Request) -> str:
    """Return the template of the route, or its path where that is not known."""
    scope = request.scope
    effective = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(effective, "path_format", None)
    path = path or getattr(scope.get("route"), "path_format", scope["path"])
    return f"{scope.get('root_path', '')}{path}"


def _note(outcome: str) -> None:
    """Say in the access log what became of the key."""
    current = context.current()
    if current is not None:
        current.fields["idempotency"] = outcome


# Both wait for nothing, but a plain function would be run in a thread.
async def _find_key(request: Request) -> str | None:
    return None if request.method in SAFE_METHODS else find_key(request.scope)


async def _get_key(request: Request) -> str | None:
    if request.method in SAFE_METHODS:
        return None
    key = find_key(request.scope)
    if key is None:
        raise IdempotencyKeyMissingError
    return key


def _signature_of(*, required: bool, caller: Callable[..., Any] | None) -> inspect.Signature:
    shown = Header(
        alias=HEADER,
        description=REQUIRED_DESCRIPTION if required else OPTIONAL_DESCRIPTION,
        examples=[EXAMPLE],
    )
    needs: dict[str, Any] = {"request": Request}
    if caller is not None:
        needs["caller"] = Annotated[Any, Depends(caller)]
    needs["key"] = Annotated[str | None, Depends(_get_key if required else _find_key)]
    # Only shown: whether it is there, and right, is found by the one above, with an error of ours.
    needs["shown"] = Annotated[str | None, shown]
    return inspect.Signature(
        [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                annotation=annotation,
                default=None if name == "shown" else inspect.Parameter.empty,
            )
            for name, annotation in needs.items()
        ]
    )


IdempotencyKey = Annotated[str, Depends(Idempotent())]
"""The key of a request that is carried out once only; one that has none is refused (400).

Parameters are resolved in their order: put it after the one that knows who is asking.
"""

OptionalIdempotencyKey = Annotated[str | None, Depends(Idempotent(required=False))]
"""The key of a request that is carried out once only, or `None` if it has none."""
