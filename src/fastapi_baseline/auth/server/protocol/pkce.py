"""Proof Key for Code Exchange (RFC 7636): for every client, and with `S256` only."""

import base64
import hashlib
import hmac
import re

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


def is_verifier(text: str) -> bool:
    """Return whether a text may be a verifier (section 4.1)."""
    # Authlib's own pattern would let a line break pass at the end.
    return _VERIFIER.fullmatch(text) is not None


def is_made_of(verifier: str, challenge: str) -> bool:
    """Return whether a challenge is that of a verifier; the time it takes does not tell why not."""
    return hmac.compare_digest(make_challenge(verifier), challenge)
