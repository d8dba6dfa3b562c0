from dataclasses import replace
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey

from fastapi_baseline.auth.server.client_checks import check_client, is_client_id
from fastapi_baseline.auth.server.client_descriptions import ClientDescription
from fastapi_baseline.auth.server.errors import InvalidClientDescriptionError

SCOPES = frozenset({"openid", "offline_access", "orders"})
KEY = ECKey.generate_key("P-256", {"use": "sig"})
PUBLIC = {"keys": [KEY.as_dict(private=False)]}
PAGE = ClientDescription(
    name="Shop",
    client_id="shop",
    auth_method="none",
    grant_types=("authorization_code", "refresh_token"),
    redirect_uris=("https://shop.example.com/callback",),
    scopes=("openid", "offline_access", "orders"),
)
MACHINE = ClientDescription(name="Job", grant_types=("client_credentials",), scopes=("orders",))


@pytest.mark.parametrize(
    "description",
    [
        PAGE,
        MACHINE,
        replace(MACHINE, auth_method="private_key_jwt", jwks=PUBLIC),
        replace(MACHINE, grant_types=(), may_introspect=True),
        replace(PAGE, post_logout_redirect_uris=("https://shop.example.com/",)),
        replace(MACHINE, audiences=("https://api.example.com",)),
    ],
)
def test_takes_what_is_safe(description: ClientDescription) -> None:
    check_client(description, known_scopes=SCOPES)


@pytest.mark.parametrize(
    ("description", "changed", "field"),
    [
        (PAGE, {"name": " "}, "name"),
        (PAGE, {"name": "x" * 101}, "name"),
        (PAGE, {"name": "a\nb"}, "name"),
        (PAGE, {"client_id": "0shop"}, "client_id"),
        (PAGE, {"client_id": "c0ffee00-0000-4000-8000-000000000000"}, "client_id"),
        (PAGE, {"auth_method": "client_secret_jwt"}, "auth_method"),
        (PAGE, {"grant_types": ("implicit",)}, "grant_types"),
        (PAGE, {"grant_types": ("password",)}, "grant_types"),
        (PAGE, {"grant_types": ()}, "grant_types"),
        (PAGE, {"grant_types": ("authorization_code",)}, "scopes"),
        (PAGE, {"grant_types": ("authorization_code", "client_credentials")}, "grant_types"),
        (PAGE, {"redirect_uris": ()}, "redirect_uris"),
        (PAGE, {"redirect_uris": ("https://*.example.com/",)}, "redirect_uris"),
        (PAGE, {"post_logout_redirect_uris": ("http://a.example/",)}, "post_logout_redirect_uris"),
        (PAGE, {"scopes": ("admin",)}, "scopes"),
        (PAGE, {"may_introspect": True}, "may_introspect"),
        (PAGE, {"jwks": PUBLIC}, "jwks"),
        (PAGE, {"redirect_uris": ("https://a.example/",) * 51}, "redirect_uris"),
        (MACHINE, {"grant_types": ("refresh_token",)}, "grant_types"),
        (MACHINE, {"redirect_uris": ("https://a.example/",)}, "redirect_uris"),
        (MACHINE, {"audiences": ("é",)}, "audiences"),
        (MACHINE, {"auth_method": "private_key_jwt"}, "jwks"),
    ],
)
def test_refuses_what_is_not(
    description: ClientDescription, changed: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidClientDescriptionError) as caught:
        check_client(replace(description, **changed), known_scopes=SCOPES)

    assert field in {error.path[0] for error in caught.value.fields}
    assert field in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": "x"},
        {"keys": []},
        {"keys": [KEY.as_dict(private=True)]},
        {"keys": [OctKey.generate_key(256).as_dict()]},
        {"keys": [KEY.as_dict(private=False), {"kty": "EC", "crv": "P-999"}]},
    ],
    ids=["nothing", "text", "empty", "private", "symmetric", "unknown"],
)
def test_a_client_has_public_keys_only(jwks: dict[str, Any]) -> None:
    description = replace(MACHINE, auth_method="private_key_jwt", jwks=jwks)

    with pytest.raises(InvalidClientDescriptionError):
        check_client(description, known_scopes=SCOPES)


def test_says_all_that_is_wrong_at_once() -> None:
    wrong = replace(PAGE, name="", redirect_uris=("ftp://a.example/",), scopes=("admin",))

    with pytest.raises(InvalidClientDescriptionError) as caught:
        check_client(wrong, known_scopes=SCOPES)

    assert [error.path[0] for error in caught.value.fields] == ["name", "redirect_uris", "scopes"]


@pytest.mark.parametrize("text", ["shop", "S", "shop-2.web_a", "c" * 64])
def test_knows_an_identifier(text: str) -> None:
    assert is_client_id(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "42",
        "-shop",
        "shop ",
        "shop\n",
        "shöp",
        "shop:x",
        "c" * 65,
        "abcdefab-0000-4000-8000-000000000000",
        "abcdefab000040008000000000000000",
    ],
)
def test_knows_what_is_none_as_subjects_of_users(text: str) -> None:
    assert not is_client_id(text)
