import logging

from fastapi_baseline.auth.server.protocol import authlib_classes
from fastapi_baseline.auth.server.protocol._code_challenge import StrictCodeChallenge
from fastapi_baseline.auth.server.protocol.pkce import is_challenge, make_challenge


def test_makes_the_challenge_of_the_example_of_rfc_7636() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

    assert make_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_s02_a_challenge_has_43_characters_of_base64url() -> None:
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

    assert is_challenge(challenge)
    assert not any(
        is_challenge(one)
        for one in ("", challenge[:-1], f"{challenge}=", f"{challenge}\n", f"{challenge[:-1]}~")
    )


def test_s02_there_is_no_other_method() -> None:
    assert StrictCodeChallenge.SUPPORTED_CODE_CHALLENGE_METHOD == ("S256",)
    assert list(StrictCodeChallenge.CODE_CHALLENGE_METHODS) == ["S256"]
    assert StrictCodeChallenge.DEFAULT_CODE_CHALLENGE_METHOD == "S256"


def test_s18_authlib_writes_no_tokens_into_logs() -> None:
    assert authlib_classes.RequestBase.__module__.startswith("authlib.")
    assert not logging.getLogger("authlib.oauth2.rfc6749.grants").isEnabledFor(logging.DEBUG)
