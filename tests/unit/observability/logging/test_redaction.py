import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_baseline.observability.logging.redaction import REDACTED, SECRET_NAMES, Redactor

# Machines that run tests are busy.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SECRETS = {
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "jwe": "eyJhbGciOiJSU0EifQ.a.b.c.d",
    "bearer": "Bearer 2YotnFZFEjr1zCsicMWpAA",
    "basic": "Basic dXNlcjpodW50ZXIy",
    "url": "postgresql://user:hunter2@db/orders",
    "url with at": "postgresql://user:p@ss@db/orders",
    "pair": "password=hunter2",
    "header": "Authorization: Digest username=me, response=abc",
    "cookies": "Cookie: session=abc; other=def",
    "json": '{"refresh_token": "hunter2"}',
    "escaped json": r"{\"client_secret\": \"two words\"}",
    "python": "{'api_key': 'hunter2'}",
    "query": "https://a.example/?access_token=hunter2&n=1",
    "aws": "AKIAIOSFODNN7EXAMPLE",
    "code": "fbc_" + "a1" * 20,
    "refresh token": "fbr_" + "a1" * 20,
    "client secret": "fbs_" + "a1" * 20,
    "github": "ghp_" + "a1" * 18,
    "slack": "xoxb-123456789012-abcdefghijkl",
    "stripe": "sk_live_" + "a1" * 12,
    "pem": "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
}
PARTS = ("hunter2", "p@ss", "two words", "c2lnbmF0", "2YotnF", "dXNlcj", "IOSFOD", "a1a1", "MIIE")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_finds_the_secret_in_a_text(secret: str) -> None:
    redacted = Redactor().redact(f"before, {secret}\nafter")

    assert REDACTED in redacted
    assert not [part for part in (*PARTS, "session=abc", "other=def") if part in redacted]
    assert redacted.startswith("before, ")
    assert redacted.endswith("\nafter")


@pytest.mark.parametrize(
    "text",
    [
        "basic authentication is not supported",
        "bearer token expired",
        "GET http://a.example:80/x?y=a@b",
        "a password is required",
        "the token has expired",
        "key: value",
    ],
)
def test_leaves_prose_alone(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_changes_nothing_the_second_time(secret: str) -> None:
    once = Redactor().redact(secret)

    assert Redactor().redact(once) == once


@pytest.mark.parametrize(
    "name",
    [*SECRET_NAMES, "X-Api-Key", "apiKey", "API.KEY", "DB_PASSWORD", "Set-Cookie", "refreshToken"],
)
def test_knows_secret_names(name: str) -> None:
    assert Redactor().is_secret(name)


@pytest.mark.parametrize("name", ["order", "key", "path", "status", "author"])
def test_knows_that_other_names_are_none(name: str) -> None:
    assert not Redactor().is_secret(name)


def test_takes_more_names() -> None:
    redactor = Redactor(["tax-number"])

    assert redactor.is_secret("customer_TaxNumber")
    assert redactor.redact("tax_number=123") == f"tax_number={REDACTED}"
    assert not Redactor().is_secret("tax_number")


@UNHURRIED
@given(st.text("eyJ.:/@-_ \"'\\=BearbasicpwdtokenEGIN", max_size=200))
def test_never_finds_what_it_did_not_suspect(text: str) -> None:
    redactor = Redactor()

    unseen = text
    for pattern, replacement in redactor._patterns:  # pyright: ignore[reportPrivateUsage] -- without the short cut
        unseen = pattern.sub(replacement, unseen)

    assert redactor.redact(text) == unseen


@pytest.mark.parametrize(
    "part",
    [
        "eyJ",
        "eyJ-",
        "eyJ.",
        "://",
        "://a:",
        "password",
        'token="',
        "bearer ",
        "basic a",
        "sk-",
        "cookie:",
        "api-_",
        "fbr_",
        "ghp_",
        "token \t",
        'token="\\x',
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_takes_time_in_proportion_to_the_length(part: str) -> None:
    # A pattern that backtracks would take hours here, and not be a little slower.
    text = part * (200_000 // len(part))

    assert Redactor().redact(text)
