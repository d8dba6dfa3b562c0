import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from fastapi_baseline.auth.server.digests import digest_of
from fastapi_baseline.auth.server.models import (
    OAuthClient,
    OAuthCode,
    OAuthGrant,
    OAuthRefreshToken,
    OAuthSigningKey,
)
from fastapi_baseline.persistence import Database

SETTINGS = """\
AUTH__SERVER__ENABLED=true
AUTH__SERVER__SCOPES=orders:read
AUTH__SERVER__ALGORITHM=ES256
AUTH__PUBLIC_URL=https://shop.example.com
"""
TABLES = (OAuthClient, OAuthGrant, OAuthCode, OAuthRefreshToken, OAuthSigningKey)
CALLBACK = "https://client.example.com/callback"

Ask = Callable[..., str]
Call = Callable[..., int]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'clients.db'}"


@pytest.fixture
def issuing(configure: Callable[..., Path], url: str) -> Path:
    """Give the folder of a service that issues tokens."""
    return configure(SETTINGS, *TABLES, url=url)


@pytest.fixture
def ask(issuing: Path, ask_command: Ask) -> Ask:
    """Give a function that returns what `baseline auth` writes; it must succeed."""
    del issuing
    return partial(ask_command, "auth")


def find_client(url: str, client_id: str) -> OAuthClient | None:
    async def find() -> OAuthClient | None:
        database = Database(url)
        try:
            async with database.read_transaction() as session:
                return await session.get(OAuthClient, client_id)
        finally:
            await database.dispose()

    return asyncio.run(find())


def test_adds_a_page_that_has_no_secret(ask: Ask, url: str) -> None:
    said = ask("client", "add", "Shop", "--id", "shop", "--public", "--redirect-uri", CALLBACK)

    client = find_client(url, "shop")
    assert said == "client_id: shop\n"
    assert client is not None
    assert client.is_public
    assert client.grant_types == ["authorization_code"]
    assert client.scopes == ["email", "openid", "profile"]
    assert not client.is_first_party


def test_adds_a_program_and_shows_its_secret_once(ask: Ask, url: str) -> None:
    said = ask("client", "add", "exporter", "--scope", "orders:read")

    client_id, secret = (line.split(": ")[1] for line in said.splitlines())
    client = find_client(url, client_id)
    assert client is not None
    assert (client.auth_method, client.scopes) == ("client_secret_basic", ["orders:read"])
    assert client.grant_types == ["client_credentials"]
    assert client.secret_digest == digest_of(secret)
    assert secret not in ask("client", "list")


def test_only_the_client_is_on_standard_output(
    issuing: Path, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    del issuing

    call("auth", "client", "add", "exporter")

    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 2
    assert "not shown again" in said.err


def test_all_of_a_client_can_be_said(ask: Ask, url: str) -> None:
    bye = "https://client.example.com/bye"

    said = json.loads(
        ask(
            *("client", "add", "Shop", "--redirect-uri", CALLBACK, "--post-logout-uri", bye),
            *(
                "--scope",
                "openid",
                "--scope",
                "offline_access",
                "--audience",
                "https://a.example.com",
            ),
            *("--first-party", "--json"),
        )
    )

    client = find_client(url, said["client_id"])
    assert client is not None
    assert said.pop("client_secret").startswith("fbs_")
    assert said.pop("created_at") == client.created_at.isoformat()
    assert said == {
        "client_id": client.client_id,
        "name": "Shop",
        "auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [CALLBACK],
        "post_logout_redirect_uris": [bye],
        "scopes": ["offline_access", "openid"],
        "audiences": ["https://a.example.com"],
        "is_first_party": True,
        "may_introspect": False,
    }


def test_adds_an_api_that_may_only_ask_about_tokens(ask: Ask, url: str) -> None:
    ask("client", "add", "api", "--id", "api", "--introspects")

    client = find_client(url, "api")
    assert client is not None
    assert (client.may_introspect, client.grant_types) == (True, [])


def test_adds_a_program_with_keys_of_its_own(ask: Ask, url: str, tmp_path: Path) -> None:
    jwk = ECKey.generate_key("P-256", {"kid": "own"}).as_dict(private=False)
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [jwk]}), encoding="utf-8")

    said = ask("client", "add", "job", "--id", "job", "--keys", str(file))

    client = find_client(url, "job")
    assert said == "client_id: job\n"
    assert client is not None
    assert client.auth_method == "private_key_jwt"
    assert client.jwks == {"keys": [jwk]}


def test_lists_clients(ask: Ask) -> None:
    nothing = ask("client", "list")
    ask("client", "add", "Shop", "--id", "shop", "--public", "--redirect-uri", CALLBACK)
    ask("client", "add", "exporter", "--id", "exporter", "--first-party")

    shown = ask("client", "list").splitlines()
    listed = json.loads(ask("client", "list", "--json"))

    assert "There are no clients." in nothing
    assert shown == [
        "exporter  exporter  client_secret_basic  first party  may nothing in particular",
        "shop  Shop  public  may email openid profile",
    ]
    assert [client["client_id"] for client in listed] == ["exporter", "shop"]
    assert not any("secret" in name for client in listed for name in client)


def test_a_new_secret_leaves_the_old_one_good_for_a_day(
    ask: Ask, url: str, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    old = json.loads(ask("client", "add", "job", "--id", "job", "--json"))["client_secret"]

    call("auth", "client", "rotate-secret", "job")
    said = capsys.readouterr()

    new = said.out.splitlines()[1].split(": ")[1]
    client = find_client(url, "job")
    assert client is not None
    assert "1 day longer" in said.err
    assert client.secret_digest == digest_of(new)
    assert client.previous_secret_digest == digest_of(old)


def test_a_new_secret_can_be_the_only_one(ask: Ask, url: str) -> None:
    ask("client", "add", "job", "--id", "job")

    said = json.loads(ask("client", "rotate-secret", "job", "--now", "--json"))

    client = find_client(url, "job")
    assert client is not None
    assert client.secret_digest == digest_of(said["client_secret"])
    assert client.previous_secret_digest is None


def test_removes_a_client(ask: Ask, url: str) -> None:
    ask("client", "add", "job", "--id", "job")
    ask("client", "add", "other", "--id", "other")

    said = ask("client", "remove", "job")
    as_json = ask("client", "remove", "other", "--json")

    assert "Removed: job." in said
    assert json.loads(as_json) == {"removed": "other"}
    assert find_client(url, "job") is None


REFUSED = {
    "a wildcard": (
        ("add", "x", "--redirect-uri", "https://*.example.com/callback"),
        "redirect_uris",
    ),
    "no https": (
        ("add", "x", "--redirect-uri", "http://client.example.com/callback"),
        "redirect_uris",
    ),
    "an unknown scope": (("add", "x", "--scope", "everything"), "AUTH__SERVER__SCOPES"),
    "nothing to do": (("add", "x", "--public"), "without a secret"),
    "two ways": (("add", "x", "--public", "--keys", "a.json"), "--public or --keys"),
    "no file": (("add", "x", "--keys", "nowhere.json"), "nowhere.json cannot be read"),
    "no keys": (("add", "x", "--keys", "list.json"), "list.json is no JWK set"),
    "a private key": (("add", "x", "--keys", "private.json"), "jwks"),
    "nobody": (("remove", "nobody"), "There is no such client."),
    "nobody's secret": (("rotate-secret", "nobody"), "There is no such client."),
}


@pytest.mark.parametrize(("arguments", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_refused_is_said_in_one_line(
    issuing: Path,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    reason: str,
) -> None:
    private = {"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}
    (issuing / "list.json").write_text("[]", encoding="utf-8")
    (issuing / "private.json").write_text(json.dumps(private), encoding="utf-8")

    code = call("auth", "client", *arguments)

    said = capsys.readouterr()
    assert code in {1, 2}
    assert reason in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_an_identifier_is_given_once(
    ask: Ask, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("client", "add", "job", "--id", "job")

    code = call("auth", "client", "add", "other", "--id", "job")

    assert code == 1
    assert capsys.readouterr().err == "Error: There is a client with that identifier already.\n"


def test_a_public_client_has_no_secret_to_change(
    ask: Ask, call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    ask("client", "add", "Shop", "--id", "shop", "--public", "--redirect-uri", CALLBACK)

    code = call("auth", "client", "rotate-secret", "shop")

    assert code == 1
    assert capsys.readouterr().err == "Error: The client has no secret to change.\n"


@pytest.mark.parametrize("arguments", [("client", "list"), ("keys", "list")])
def test_a_service_that_issues_nothing_says_so(
    issuing: Path, call: Call, capsys: pytest.CaptureFixture[str], arguments: Sequence[str]
) -> None:
    (issuing / ".env").write_text("", encoding="utf-8")

    code = call("auth", *arguments)

    assert code == 1
    assert "issues no tokens: set AUTH__SERVER__ENABLED=true" in capsys.readouterr().err


def test_help_shows_how_a_page_and_a_service_are_added(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call("auth", "client", "add", "--help")

    said = " ".join(capsys.readouterr().out.split())
    assert "--redirect-uri https://shop.example.com/callback" in said
    assert "add exporter --scope orders:read" in said


# Signing keys


def test_keys_are_made_when_the_service_starts(ask: Ask) -> None:
    assert "There are no keys" in ask("keys", "list")
    assert json.loads(ask("keys", "list", "--json")) == []


def test_keys_rotate_and_are_listed(ask: Ask) -> None:
    active = json.loads(ask("keys", "rotate", "--now", "--json"))

    said = ask("keys", "rotate")
    listed = json.loads(ask("keys", "list", "--json"))
    shown = ask("keys", "list").splitlines()

    assert active["state"] == "active"
    assert "It signs from" in said
    assert [key["state"] for key in listed] == ["next", "active"]
    assert listed[1]["kid"] == active["kid"]
    assert listed[1]["retires_at"] is not None
    assert [line.split("  ")[:3] for line in shown] == [
        [key["kid"], "ES256", key["state"]] for key in listed
    ]
    assert "goes" in shown[1]


def test_a_key_that_is_needed_at_once_is_told_of(ask: Ask) -> None:
    ask("keys", "rotate", "--now")

    assert "It signs:" in ask("keys", "rotate", "--now")


def test_a_key_is_revoked(ask: Ask) -> None:
    first = json.loads(ask("keys", "rotate", "--now", "--json"))["kid"]

    second = json.loads(ask("keys", "revoke", first, "--json"))["active"]["kid"]
    said = ask("keys", "revoke", second)

    (key,) = json.loads(ask("keys", "list", "--json"))
    assert f"Revoked: {second}. It signs: {key['kid']}." in said
    assert key["kid"] not in {first, second}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("rotate",), "is published already"),
        (("revoke", "nothing"), "There is no key"),
        (("revoke", "-begins-with-a-dash"), "There is no key"),
    ],
)
def test_what_cannot_be_done_with_keys_is_said_in_one_line(
    ask: Ask,
    call: Call,
    capsys: pytest.CaptureFixture[str],
    arguments: Sequence[str],
    reason: str,
) -> None:
    ask("keys", "rotate", "--now")
    ask("keys", "rotate")

    code = call("auth", "keys", *arguments)

    said = capsys.readouterr().err
    assert code == 1
    assert reason in said
    assert len(said.splitlines()) == 1
