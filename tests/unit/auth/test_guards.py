from collections.abc import Sequence

import pytest
from starlette.requests import HTTPConnection

from fastapi_baseline.auth import (
    SELF,
    CredentialsMissingError,
    InsufficientRoleError,
    InsufficientScopeError,
    Principal,
    RequireRoles,
    RequireScopes,
    Transport,
)
from fastapi_baseline.errors import ConfigurationError
from tests.recorded_events import RecordedEvents
from tests.unit.auth import known_principal


@pytest.fixture
def events() -> RecordedEvents:
    return RecordedEvents()


def request_of(principal: Principal | None, *, events: RecordedEvents) -> HTTPConnection:
    return known_principal.request_of(principal, events=events, challenge='Bearer realm="shop"')


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
    asked: dict[str, list[str]], held: list[str], events: RecordedEvents
) -> None:
    by_scope = somebody(scopes=held)
    by_role = somebody(roles=held)

    assert await RequireScopes(**asked)(request_of(by_scope, events=events)) is by_scope
    assert await RequireRoles(**asked)(request_of(by_role, events=events)) is by_role
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
    asked: dict[str, list[str]], held: list[str], events: RecordedEvents
) -> None:
    with pytest.raises(InsufficientScopeError):
        await RequireScopes(**asked)(request_of(somebody(scopes=held), events=events))
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(**asked)(request_of(somebody(roles=held), events=events))


async def test_scopes_are_no_roles_and_roles_are_no_scopes(events: RecordedEvents) -> None:
    with pytest.raises(InsufficientScopeError):
        await RequireScopes(all=["admin"])(request_of(somebody(roles=["admin"]), events=events))
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(all=["admin"])(request_of(somebody(scopes=["admin"]), events=events))


async def test_a_token_is_told_which_scopes_would_be_enough(events: RecordedEvents) -> None:
    guard = RequireScopes(all=["b", "a"], any=["c", "d"])

    with pytest.raises(InsufficientScopeError) as caught:
        await guard(request_of(somebody(), events=events))

    assert caught.value.challenge == (
        'Bearer realm="shop", error="insufficient_scope", scope="b a c"'
    )
    assert "b a c" in caught.value.message


@pytest.mark.parametrize("transport", ["session", "api_key"])
async def test_what_is_no_token_gets_no_challenge_of_tokens(
    transport: Transport, events: RecordedEvents
) -> None:
    with pytest.raises(InsufficientScopeError) as caught:
        await RequireScopes(all=["a"])(request_of(somebody(transport=transport), events=events))

    assert caught.value.challenge is None


async def test_roles_that_are_asked_for_are_not_told(events: RecordedEvents) -> None:
    with pytest.raises(InsufficientRoleError) as caught:
        await RequireRoles(all=["auditor"])(request_of(somebody(), events=events))

    assert "auditor" not in caught.value.message
    assert caught.value.challenge is None


async def test_a_refusal_is_recorded(events: RecordedEvents) -> None:
    with pytest.raises(InsufficientRoleError):
        await RequireRoles(all=["auditor"])(request_of(somebody(), events=events))

    [event] = events.recorded
    assert (event.name, event.outcome, event.subject) == ("access_refused", "failure", "ada")
    assert event.details == {"reason": "insufficient_role", "transport": "bearer"}


async def test_nobody_is_refused_before_anything_is_compared(events: RecordedEvents) -> None:
    with pytest.raises(CredentialsMissingError):
        await RequireScopes(all=["a"])(request_of(None, events=events))
    with pytest.raises(CredentialsMissingError):
        await RequireRoles(all=["a"])(request_of(None, events=events))

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
