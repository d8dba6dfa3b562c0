from dataclasses import FrozenInstanceError

import pytest

from fastapi_baseline.auth import SELF, Principal


def test_the_text_of_a_user_of_the_service_is_its_subject() -> None:
    assert str(Principal(issuer=SELF, subject="u1", transport="session")) == "u1"


def test_the_text_of_others_has_their_issuer() -> None:
    principal = Principal(issuer="https://a.example", subject="u1", transport="bearer")

    assert str(principal) == "https://a.example|u1"


@pytest.mark.parametrize("subject", ["u1", "auth0|u1", "https://a.example|u1"])
def test_no_two_principals_have_the_same_text(subject: str) -> None:
    issuers = [SELF, "https://a.example", "https://b.example"]

    texts = {
        str(Principal(issuer=issuer, subject=one, transport="bearer"))
        for issuer in issuers
        for one in (subject, "u1", "https://b.example|u1")
    }

    assert len(texts) == 3 * len({subject, "u1", "https://b.example|u1"})


def test_what_was_verified_is_not_shown_and_not_changed() -> None:
    principal = Principal(
        issuer=SELF, subject="u1", transport="session", claims={"email": "ada@example.com"}
    )

    assert "ada@example.com" not in repr(principal)
    with pytest.raises(FrozenInstanceError):
        setattr(principal, "roles", frozenset({"admin"}))  # noqa: B010 -- checkers see the plain one


def test_principals_with_the_same_facts_are_equal() -> None:
    one = Principal(issuer=SELF, subject="u1", transport="session", claims={"a": 1})
    other = Principal(issuer=SELF, subject="u1", transport="session")

    assert one == other
    assert hash(one) == hash(other)
