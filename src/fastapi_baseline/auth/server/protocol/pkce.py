"""Proof Key for Code Exchange (RFC 7636): for every client, and with `S256` only."""

import base64
import hashlib
import hmac
import re
from types import MappingProxyType
from typing import Any

from fastapi_baseline.auth.server.errors import InvalidGrantError, ProtocolError
from fastapi_baseline.auth.server.protocol.library import CodeChallengeBase

METHOD = "S256"
"""The only `code_challenge_method`: with `plain`, who sees the request has the verifier."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """Return whether a text may be the challenge of a verifier: SHA-256 in base64url."""
    return _CHALLENGE.fullmatch(text) is not None


def make_challenge(verifier: str) -> str:
    """Return the challenge of a verifier (section 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _is_made_of(verifier: str, challenge: str) -> bool:
    return hmac.compare_digest(make_challenge(verifier), challenge)


class StrictCodeChallenge(CodeChallengeBase):
    """What Authlib asks for a verifier with; it is asked for whatever the client is."""

    DEFAULT_CODE_CHALLENGE_METHOD = METHOD
    SUPPORTED_CODE_CHALLENGE_METHOD = (METHOD,)
    CODE_CHALLENGE_METHODS = MappingProxyType({METHOD: _is_made_of})

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Refuse a request whose verifier is not that of the code.

        Raises:
            ProtocolError: If there is none, or what cannot be one.
            InvalidGrantError: If it is another one.
        """
        verifier: str | None = grant.request.form.get("code_verifier")
        # Authlib's own pattern would let a line break pass at the end.
        if verifier is None or not _VERIFIER.fullmatch(verifier):
            raise ProtocolError("The code_verifier is missing, or malformed.")
        if not is_challenge(grant.request.authorization_code.code_challenge):
            # A code that was asked for without a challenge: there is none, and never was.
            raise InvalidGrantError
        base: Any = super()
        base.validate_code_verifier(grant, result)
