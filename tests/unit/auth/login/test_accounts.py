from typing import Any

import pytest
from starlette.requests import Request

from fastapi_baseline.auth.login.accounts import AllAccounts, Identity, read_roles


@pytest.mark.parametrize(
    ("claims", "path", "roles"),
    [
        ({"roles": ["a", "b"]}, "roles", ["a", "b"]),
        ({"roles": "a"}, "roles", ["a"]),
        ({"realm": {"roles": ["a"]}}, "realm.roles", ["a"]),
        ({"a": {"b": {"c": ["x"]}}}, "a.b.c", ["x"]),
        ({"https://shop.test/roles": ["a"]}, "https://shop.test/roles", ["a"]),
        ({"cognito:groups": ["a"]}, "cognito:groups", ["a"]),
        ({"roles": ["a", 7, None, ["b"], "", "c\n", "d" * 201]}, "roles", ["a"]),
        ({"roles": {"a": 1}}, "roles", []),
        ({"roles": 7}, "roles", []),
        ({"realm": ["roles"]}, "realm.roles", []),
        ({"realm": "roles"}, "realm.roles", []),
        ({}, "roles", []),
        ({"roles": ["a"]}, None, []),
    ],
    ids=str,
)
def test_reads_roles_where_the_settings_say(
    claims: dict[str, Any], path: str | None, roles: list[str]
) -> None:
    assert read_roles(claims, path) == set(roles)


def test_reads_no_more_roles_than_anybody_has() -> None:
    claims = {"roles": [f"role-{number}" for number in range(1000)]}

    assert len(read_roles(claims, "roles")) == 200


async def test_everybody_has_the_roles_that_the_provider_gives() -> None:
    identity = Identity(
        provider="staff", issuer="https://login.test", subject="ann", roles=frozenset({"clerk"})
    )

    roles = await AllAccounts().find_roles(identity, Request({"type": "http", "headers": []}))

    assert roles == {"clerk"}


def test_claims_are_not_shown() -> None:
    identity = Identity(provider="x", issuer="y", subject="z", claims={"email": "ann@example.com"})

    assert "ann@example.com" not in repr(identity)
