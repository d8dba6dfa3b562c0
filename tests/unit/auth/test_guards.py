from collections.abc import Sequence
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import (
    SELF,
    Authentication,
    CredentialsMissingError,
    InsufficientRoleError,
    InsufficientScopeError,
    Principal,
    RequireRoles,
    RequireScopes,
    SecurityEvent,
    Transport,
)
from fastapi_baseline.errors import ConfigurationError


class Known:
    """Says of every request that it is the same principal's."""

    scheme_name = "known"
    scheme: dict[str, Any] = {"type": "http", "scheme": "bearer"}  # noqa: RUF012 -- never changed
    challenge = 'Bearer realm="shop"'

    def __init__(self, principal: Principal | None) -> None:
        self.principal = principal

    def is_offered(self, connection: HTTPConnection) -> bool:
        return self.principal is not None

    async def authenticate(self, connection: HTTPConnection) -> Principal:
        assert self.principal is not None
        return self.principal


class Events:
    def __init__(self) -> None:
        self.recorded: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.recorded.append(event)


@pytest.fixture
def events() -> Events:
    return Events()


def request_of(principal: Principal | None, events: Events) -> HTTPConnection:
    app = Starlette()
    app.state.authentication = Authentication([Known(principal)], events=events)
    return HTTPConnection({"type": "http", "headers": [], "app": app})


def somebody(
    *, scopes: Sequence[str] = (), roles: Sequence[str] = (), transport: Transport = "bearer"
) -> Principal:
    return Principal(
        issuer=SELF,
        subject="ada",
        transport=transport,
        scopes=frozenset(scopes),
        roles=frozenset(roles),
    )


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ({"all": ["a"]}, ["a"]),
        ({"all": ["a", "b"]}, ["b", "c", "a"]),
        ({"any": ["a", "b"]}, ["b"]),
        ({"all": ["a"], "any": ["b", "c"]}, ["a", "c"]),
    ],
)
async def test_lets_in_who_has_what_is_asked_for(
    asked: dict[str, list[str]], held: list[str], events: Events
) -> None:
    by_scope = somebody(scopes=held)
    by_role = somebody(roles=held)

    assert await RequireScopes(**asked)(request_of(by_scope, events)) is by_scope
    assert await RequireRoles(**asked)(request_of(by_role, events)) is by_role
    assert events.recorded == []


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ({"all": ["a"]}, []),
        ({"all": ["a", "b"]}, ["a"]),
        ({"any": ["a", "b"]}, ["c"]),
        ({"all": ["a"], "any": ["b", "c"]}, ["a"]),
        ({"all": ["a"], "any": ["b", "c"]}, ["b", "c"]),
        ({"all": ["read"]}, ["readonly"]),
        ({"all": ["read"]}, ["READ"]),
        ({"all": ["read"]}, ["admin read"]),
    ],
)
async def test_refuses_who_has_it_not(
    asked: dict[str, list[str]], held: list[str], events: Events
) -> None:
    with pytest.raises(InsufficientScopeError):
        await RequireScopes(**asked)(request_of(somebody(scopes=held), events))
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(**asked)(request_of(somebody(roles=held), events))


async def test_scopes_are_no_roles_and_roles_are_no_scopes(events: Events) -> None:
    with pytest.raises(InsufficientScopeError):
        await RequireScopes(all=["admin"])(request_of(somebody(roles=["admin"]), events))
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(all=["admin"])(request_of(somebody(scopes=["admin"]), events))


async def test_a_token_is_told_which_scopes_would_be_enough(events: Events) -> None:
    guard = RequireScopes(all=["b", "a"], any=["c", "d"])

    with pytest.raises(InsufficientScopeError) as caught:
        await guard(request_of(somebody(), events))

    assert caught.value.challenge == (
        'Bearer realm="shop", error="insufficient_scope", scope="b a c"'
    )
    assert "b a c" in caught.value.message


@pytest.mark.parametrize("transport", ["session", "api_key"])
async def test_what_is_no_token_gets_no_challenge_of_tokens(
    transport: Transport, events: Events
) -> None:
    with pytest.raises(InsufficientScopeError) as caught:
        await RequireScopes(all=["a"])(request_of(somebody(transport=transport), events))

    assert caught.value.challenge is None


async def test_roles_that_are_asked_for_are_not_told(events: Events) -> None:
    with pytest.raises(InsufficientRoleError) as caught:
        await RequireRoles(all=["auditor"])(request_of(somebody(), events))

    assert "auditor" not in caught.value.message
    assert caught.value.challenge is None


async def test_a_refusal_is_recorded(events: Events) -> None:
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(all=["auditor"])(request_of(somebody(), events))

    [event] = events.recorded
    assert (event.name, event.outcome, event.subject) == ("access_refused", "failure", "ada")
    assert event.details == {"reason": "insufficient_role", "transport": "bearer"}


async def test_nobody_is_refused_before_anything_is_compared(events: Events) -> None:
    with pytest.raises(CredentialsMissingError):
        await RequireScopes(all=["a"])(request_of(None, events))
    with pytest.raises(CredentialsMissingError):
        await RequireRoles(all=["a"])(request_of(None, events))

    assert events.recorded == []


@pytest.mark.parametrize("guard", [RequireScopes, RequireRoles])
def test_a_guard_asks_for_something(guard: type[RequireScopes | RequireRoles]) -> None:
    with pytest.raises(ConfigurationError, match="something"):
        guard()


@pytest.mark.parametrize("guard", [RequireScopes, RequireRoles])
@pytest.mark.parametrize("asked", [{"all": "admin"}, {"any": "admin"}])
def test_a_text_is_no_list_of_names(
    guard: type[RequireScopes | RequireRoles], asked: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError, match="taken apart"):
        guard(**asked)


@pytest.mark.parametrize("scope", ["", "a b", 'a"', "\u00e9"])
def test_refuses_what_cannot_be_a_scope(scope: str) -> None:
    with pytest.raises(ConfigurationError, match="6749"):
        RequireScopes(any=[scope])
