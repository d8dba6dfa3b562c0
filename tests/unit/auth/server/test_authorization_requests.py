import json
from collections.abc import Sequence
from datetime import timedelta

import pytest

from fastapi_baseline.auth.server.authorization_requests import (
    AuthorizationError,
    AuthorizationRequest,
    Parameters,
    ReturnAddress,
    UnusableRequestError,
    find_client_id,
    find_return_address,
    read_authorization_request,
)
from fastapi_baseline.auth.server.models import OAuthClient

CALLBACK = "https://app.example.com/callback"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
GOOD = {
    "client_id": "app",
    "redirect_uri": CALLBACK,
    "response_type": "code",
    "scope": "openid orders:read",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "a state",
    "nonce": "a nonce",
}
CLIENT = OAuthClient(
    client_id="app",
    grant_types=["authorization_code"],
    scopes=["openid", "offline_access", "orders:read"],
)
SUPPORTED = ("openid", "email", "offline_access", "orders:read")


async def find_anna(hint: str) -> str | None:
    return "anna" if hint == "a token" else None


async def read(
    changed: dict[str, str] | None = None,
    *more: tuple[str, str],
    client: OAuthClient = CLIENT,
) -> AuthorizationRequest:
    sent = {**GOOD, **(changed or {})}
    parameters = Parameters([*sent.items(), *more])
    return await read_authorization_request(
        parameters,
        ReturnAddress(redirect_uri=CALLBACK, state=sent.get("state") or None),
        client=client,
        supported_scopes=SUPPORTED,
        find_hinted=find_anna,
    )


async def error_of(
    changed: dict[str, str] | None = None,
    *more: tuple[str, str],
    client: OAuthClient = CLIENT,
) -> str:
    with pytest.raises(AuthorizationError) as caught:
        await read(changed, *more, client=client)
    description = caught.value.description
    assert description is None or (description.isascii() and '"' not in description)
    return caught.value.error


async def test_reads_what_a_client_asks_for() -> None:
    request = await read(
        {
            "prompt": "login consent",
            "max_age": "60",
            "acr_values": "aal2 aal1",
            "login_hint": "anna@example.com",
            "id_token_hint": "a token",
        }
    )

    assert request == AuthorizationRequest(
        client_id="app",
        redirect_uri=CALLBACK,
        state="a state",
        scopes=("openid", "orders:read"),
        nonce="a nonce",
        code_challenge=CHALLENGE,
        prompts=frozenset({"login", "consent"}),
        max_age=timedelta(minutes=1),
        acr_values=("aal2", "aal1"),
        login_hint="anna@example.com",
        expected_subject="anna",
    )


async def test_what_is_kept_is_what_was_read() -> None:
    request = await read({"prompt": "login", "max_age": "0", "acr_values": "aal2"})

    kept = json.loads(json.dumps(request.to_json()))

    assert AuthorizationRequest.from_json(kept) == request


async def test_what_is_optional_may_be_left_out_or_empty() -> None:
    request = await read({"state": "", "nonce": "", "prompt": "", "max_age": ""})

    assert request.state is None
    assert request.nonce is None
    assert request.prompts == frozenset()
    assert request.max_age is None
    assert request.expected_subject is None


async def test_what_is_not_known_is_passed_over_also_twice() -> None:
    request = await read({"resource": "x", "ui_locales": "de"}, ("resource", "y"), ("claims", "{"))

    assert request == await read()


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": 'code"'}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "form_post"}, "invalid_request"),
        ({"request": "x"}, "request_not_supported"),
        ({"request_uri": "https://x.example.com"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"scope": "openid email"}, "invalid_scope"),
        ({"scope": 'openid "x"'}, "invalid_scope"),
        ({"scope": "openid\torders:read"}, "invalid_request"),
        ({"scope": "öpenid"}, "invalid_request"),
        ({"scope": "x" * 1001}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1]}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "A"}, "invalid_request"),
        ({"code_challenge": CHALLENGE + "\n"}, "invalid_request"),
        ({"code_challenge": CHALLENGE[:-1] + "="}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "NONE"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "1.5"}, "invalid_request"),
        ({"max_age": "٣"}, "invalid_request"),
        ({"max_age": "9" * 10}, "invalid_request"),
        ({"state": "x" * 2049}, "invalid_request"),
        ({"state": "a\x00b"}, "invalid_request"),
        ({"nonce": "a\nb"}, "invalid_request"),
        ({"nonce": "x" * 513}, "invalid_request"),
        ({"id_token_hint": "another"}, "invalid_request"),
    ],
)
async def test_the_client_is_told_what_is_wrong(changed: dict[str, str], error: str) -> None:
    assert await error_of(changed) == error


@pytest.mark.parametrize("name", sorted(GOOD.keys() - {"client_id", "redirect_uri"}))
async def test_no_parameter_may_be_there_twice(name: str) -> None:
    assert await error_of({}, (name, GOOD[name])) == "invalid_request"


async def test_a_client_without_the_grant_type_gets_no_code() -> None:
    client = OAuthClient(client_id="job", grant_types=["client_credentials"], scopes=["openid"])

    assert await error_of(client=client) == "unauthorized_client"


async def test_a_scope_is_refused_that_the_client_has_and_the_server_does_not() -> None:
    client = OAuthClient(client_id="app", grant_types=CLIENT.grant_types, scopes=["openid", "old"])

    assert await error_of({"scope": "openid old"}, client=client) == "invalid_scope"


@pytest.mark.parametrize("hint", ["\x00", "anna\n@example.com", "anna\u202e@example.com"])
async def test_a_hint_that_cannot_be_shown_is_none(hint: str) -> None:
    assert (await read({"login_hint": hint})).login_hint is None


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("client_id", "")],
        [("client_id", "a"), ("client_id", "a")],
        [("client_id", "a"), ("client_id", "b")],
        [("client_id", "ä")],
        [("client_id", "a\x00")],
        [("client_id", "a" * 256)],
    ],
)
def test_who_asks_must_be_said_once(pairs: Sequence[tuple[str, str]]) -> None:
    with pytest.raises(UnusableRequestError):
        find_client_id(Parameters(pairs))


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [("redirect_uri", "")],
        [("redirect_uri", CALLBACK), ("redirect_uri", CALLBACK)],
        [("redirect_uri", "https://evil.example.com")],
        [("redirect_uri", CALLBACK + "\x00")],
        [("redirect_uri", CALLBACK + "ä")],
    ],
)
def test_an_answer_goes_nowhere_but_where_it_was_registered(
    pairs: Sequence[tuple[str, str]],
) -> None:
    with pytest.raises(UnusableRequestError) as caught:
        find_return_address(Parameters(pairs), accepts=lambda uri: uri == CALLBACK)

    assert "evil" not in caught.value.message


def test_the_state_goes_back_as_it_came() -> None:
    pairs = [("redirect_uri", CALLBACK), ("state", 'ä "&=')]

    address = find_return_address(Parameters(pairs), accepts=lambda uri: uri == CALLBACK)

    assert address == ReturnAddress(redirect_uri=CALLBACK, state='ä "&=')


def test_of_two_states_none_goes_back() -> None:
    pairs = [("redirect_uri", CALLBACK), ("state", "a"), ("state", "b")]

    address = find_return_address(Parameters(pairs), accepts=lambda uri: uri == CALLBACK)

    assert address.state is None
