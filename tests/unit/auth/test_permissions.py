from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import pytest

from fastapi_baseline.auth import SELF, Permission, Principal, has_role, has_scope
from fastapi_baseline.errors import ConfigurationError, ForbiddenError, NotFoundError


@dataclass
class Note:
    author: str
    is_shared: bool = False


ADA = Principal(
    issuer=SELF,
    subject="ada",
    transport="session",
    roles=frozenset({"editor"}),
    scopes=frozenset({"notes:read"}),
)
EVE = Principal(issuer=SELF, subject="eve", transport="session")

own = Permission[Note](lambda principal, note: note.author == str(principal))
shared = Permission[Note](lambda _, note: note.is_shared)


def test_says_who_may() -> None:
    assert own.allows(ADA, Note("ada"))
    assert not own.allows(EVE, Note("ada"))


@pytest.mark.parametrize(
    ("author", "is_shared", "both", "either"),
    [
        ("ada", True, True, True),
        ("ada", False, False, True),
        ("eve", True, False, True),
        ("eve", False, False, False),
    ],
)
def test_permissions_are_joined(author: str, *, is_shared: bool, both: bool, either: bool) -> None:
    note = Note(author, is_shared)

    assert (own & shared).allows(ADA, note) is both
    assert (own | shared).allows(ADA, note) is either
    assert (~(own & shared)).allows(ADA, note) is not both
    assert (~(own | shared)).allows(ADA, note) is not either


def test_roles_and_scopes_are_permissions_for_everything() -> None:
    assert has_role("editor", "admin").allows(ADA, Note("eve"))
    assert not has_role("admin").allows(ADA, Note("ada"))
    assert has_scope("notes:read").allows(ADA, Note("eve"))
    assert not has_scope("notes").allows(ADA, Note("eve"))
    assert not (own | has_role("editor")).allows(EVE, Note("ada"))
    assert not has_role().allows(ADA, Note("ada"))


def test_gives_the_entity_to_who_may() -> None:
    note = Note("ada")

    assert own.require(ADA, note) is note


def test_who_may_not_is_told_that_there_is_nothing() -> None:
    with pytest.raises(NotFoundError) as refused:
        own.require(EVE, Note("ada"))
    with pytest.raises(NotFoundError) as absent:
        own.require(EVE, None)

    assert refused.value.message == absent.value.message


def test_who_may_know_of_it_is_told_that_they_may_not() -> None:
    with pytest.raises(ForbiddenError):
        own.require(EVE, Note("ada"), otherwise="forbidden")
    with pytest.raises(NotFoundError):
        own.require(ADA, None, otherwise="forbidden")


async def test_refuses_a_function_that_waits() -> None:
    async def ask(principal: Principal, note: Note) -> bool:
        return False

    function: Any = ask
    with pytest.raises(ConfigurationError, match="waits"):
        Permission[Note](function)


class Later:
    """Looks true, as everything that is still to be waited for."""

    def __await__(self) -> Any:
        yield


@pytest.mark.parametrize("answer", [None, 1, "yes", [], Later()])
def test_only_yes_and_no_are_answers(answer: object | Awaitable[bool]) -> None:
    def say(principal: Principal, note: Note) -> Any:
        return answer

    permission = Permission[Note](say)

    for one in (permission, ~permission, permission | own, own & permission):
        with pytest.raises(ConfigurationError, match="True or False"):
            one.allows(ADA, Note("ada"))
