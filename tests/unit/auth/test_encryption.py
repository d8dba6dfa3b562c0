import json

import pytest
from joserfc import jwe
from joserfc.jwk import OctKey
from pydantic import SecretStr

from fastapi_baseline.auth.encryption import KeyRing, UndecryptableError, make_key_ring
from fastapi_baseline.errors import ConfigurationError

OLD = "old-secret-of-32-characters-or-so"
NEW = "new-secret-of-32-characters-or-so"


def test_decrypts_what_it_encrypted() -> None:
    ring = KeyRing([NEW])

    token = ring.encrypt("JBSWY3DP", owner="u1")

    assert ring.decrypt(token, owner="u1") == "JBSWY3DP"
    assert "JBSWY3DP" not in token


def test_encrypts_the_same_text_in_another_way_each_time() -> None:
    ring = KeyRing([NEW])

    assert ring.encrypt("same", owner="u1") != ring.encrypt("same", owner="u1")


def test_a_row_copied_to_another_user_is_no_secret_of_that_user() -> None:
    ring = KeyRing([NEW])
    token = ring.encrypt("JBSWY3DP", owner="u1")

    with pytest.raises(UndecryptableError):
        ring.decrypt(token, owner="u2")


def test_a_key_that_was_replaced_still_decrypts() -> None:
    token = KeyRing([OLD]).encrypt("JBSWY3DP", owner="u1")
    ring = KeyRing([NEW, OLD])

    assert ring.decrypt(token, owner="u1") == "JBSWY3DP"
    assert not ring.is_current(token)
    assert ring.is_current(ring.encrypt("JBSWY3DP", owner="u1"))


def test_a_key_that_was_taken_away_decrypts_nothing() -> None:
    token = KeyRing([OLD]).encrypt("JBSWY3DP", owner="u1")
    ring = KeyRing([NEW])

    with pytest.raises(UndecryptableError):
        ring.decrypt(token, owner="u1")
    assert not ring.is_current(token)


def test_refuses_what_was_changed() -> None:
    ring = KeyRing([NEW])
    token = ring.encrypt("JBSWY3DP", owner="u1")
    head, _, tag = token.rpartition(".")
    other = "A" if tag[0] != "A" else "B"

    with pytest.raises(UndecryptableError):
        ring.decrypt(f"{head}.{other}{tag[1:]}", owner="u1")


@pytest.mark.parametrize("token", ["", "a.b.c.d.e", "....", "no token", "é.é.é.é.é"])
def test_refuses_what_is_no_token(token: str) -> None:
    ring = KeyRing([NEW])

    with pytest.raises(UndecryptableError):
        ring.decrypt(token, owner="u1")
    assert not ring.is_current(token)


def test_refuses_a_token_of_another_algorithm() -> None:
    key = OctKey.import_key(b"0" * 32)
    token = jwe.encrypt_compact(
        {"alg": "A256KW", "enc": "A256GCM"},
        json.dumps(["u1", "x"]),
        key,
        algorithms=["A256KW", "A256GCM"],
    )

    with pytest.raises(UndecryptableError):
        KeyRing([NEW]).decrypt(token, owner="u1")


def test_each_purpose_has_keys_of_its_own() -> None:
    ring = KeyRing([NEW, OLD])

    assert len({*ring.derive("a"), *ring.derive("b")}) == 4
    assert ring.derive("a")[0] == KeyRing([NEW]).derive("a")[0]


def test_shows_no_secret() -> None:
    assert NEW not in repr(KeyRing([NEW]))


@pytest.mark.parametrize(
    "secrets", [[], ["short"], [NEW, "short"]], ids=["none", "short", "one-short"]
)
def test_refuses_keys_that_are_too_short(secrets: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="AUTH__SECRET_KEYS") as raised:
        KeyRing(secrets)

    assert "short" not in raised.value.message


def test_refuses_to_do_without_keys_where_people_depend_on_it() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__SECRET_KEYS is not set"):
        make_key_ring([], is_deployed=True)


def test_does_without_keys_in_development() -> None:
    first = make_key_ring([], is_deployed=False)
    second = make_key_ring([], is_deployed=False)

    assert second.decrypt(first.encrypt("x", owner="u1"), owner="u1") == "x"


def test_takes_the_keys_of_the_settings() -> None:
    ring = make_key_ring([SecretStr(NEW)], is_deployed=True)

    assert KeyRing([NEW]).decrypt(ring.encrypt("x", owner="u1"), owner="u1") == "x"
