import secrets
from collections.abc import Callable, Iterator

import pytest
from fastapi import FastAPI

from fastapi_baseline.deployment_checks import (
    Deployment,
    add_deployment_checks,
    added_checks,
    find_weakness,
    is_https,
    stays_here,
)
from fastapi_baseline.inspection import Finding


def find_first(deployment: Deployment) -> Iterator[Finding]:
    yield Finding(id="first", what=deployment.settings.service_name, remedy="None.")


def find_second(deployment: Deployment) -> Iterator[Finding]:
    yield Finding(id="second", what=deployment.settings.service_name, remedy="None.")


def test_checks_can_be_added_to_an_application() -> None:
    app = FastAPI()

    add_deployment_checks(app, find_first)
    add_deployment_checks(app, find_second)

    assert list(added_checks(app)) == [find_first, find_second]


def test_no_checks_are_added_by_themselves() -> None:
    assert list(added_checks(FastAPI())) == []


def test_a_finding_says_what_and_what_to_do() -> None:
    assert Finding(id="a", what="It is so.", remedy="Change it.").message == "It is so. Change it."


@pytest.mark.parametrize(
    ("secret", "weakness"),
    [
        ("", "has less than 32 characters"),
        ("kf83h1ld0c7vb2ng6mz5xq9wrt4yepa", "has less than 32 characters"),
        ("please-change-me-before-you-deploy", "is the placeholder of an example"),
        ("CHANGEME-CHANGEME-CHANGEME-CHANGEME", "is the placeholder of an example"),
        ("this is my secret, do not tell anybody", "is the placeholder of an example"),
        ("an-insecure-key-for-local-use-only-0", "is the placeholder of an example"),
        ("abcabcabcabcabcabcabcabcabcabcabcabc", "repeats a few characters"),
        ("0" * 64, "repeats a few characters"),
    ],
)
def test_knows_secrets_that_somebody_could_guess(secret: str, weakness: str) -> None:
    assert find_weakness(secret) == weakness


@pytest.mark.parametrize("make", [secrets.token_hex, secrets.token_urlsafe])
def test_lets_random_secrets_be(make: Callable[[int], str]) -> None:
    assert [find_weakness(make(32)) for _ in range(200)] == [None] * 200


@pytest.mark.parametrize(
    ("url", "encrypted", "private"),
    [
        ("https://id.example.com", True, True),
        ("HTTPS://id.example.com", True, True),
        ("http://id.example.com", False, False),
        ("http://localhost:8080/keys", False, True),
        ("http://127.0.0.1:8080", False, True),
        ("http://[::1]:8080", False, True),
        ("http://localhost.example.com", False, False),
        ("http://localhost@id.example.com", False, False),
        ("http://[::1", False, False),
        ("id.example.com", False, False),
        ("", False, False),
    ],
)
def test_knows_what_others_could_read_on_its_way(url: str, encrypted: bool, private: bool) -> None:
    assert (is_https(url), stays_here(url)) == (encrypted, private)
