"""What clients are given that is random, and what is stored of it."""

import base64
import hashlib
from collections.abc import Callable

CODE_PREFIX = "fbc_"
REFRESH_PREFIX = "fbr_"
SECRET_PREFIX = "fbs_"  # noqa: S105 -- what secrets begin with, so that scanners find one in public
"""What secrets of clients begin with."""

MAX_LENGTH = 128
"""How long such a text may be that is looked up."""

_SECRET_BYTES = 32


def make_secret(prefix: str, *, token_bytes: Callable[[int], bytes]) -> str:
    """Return 256 random bits as text, which says by its prefix what it is."""
    random = base64.urlsafe_b64encode(token_bytes(_SECRET_BYTES)).rstrip(b"=").decode()
    return f"{prefix}{random}"


def digest_of(secret: str) -> str:
    """Return what is stored: random bits need neither salt nor cost."""
    return hashlib.sha256(secret.encode()).hexdigest()
