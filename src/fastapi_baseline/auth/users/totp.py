"""Codes that change every 30 seconds, made by an app on a telephone (RFC 6238).

They are those that all such apps make: six digits, HMAC-SHA-1, 30 seconds.
"""

import base64
import hmac
import secrets
from collections.abc import Callable
from datetime import datetime

from fastapi_baseline._extras import optional

with optional("pyotp", extra="auth"):
    from pyotp.totp import TOTP

DIGITS = 6
STEP_SECONDS = 30
WINDOW = 1
"""How many steps a telephone may be ahead or behind (RFC 6238, section 5.2)."""
SECRET_BYTES = 20
"""As long as what HMAC-SHA-1 returns (RFC 4226, section 4, R6)."""

_SHOWN_SEPARATORS = str.maketrans("", "", " -")


def make_secret(token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """Return a new secret, as apps are given it: in base 32."""
    return base64.b32encode(token_bytes(SECRET_BYTES)).decode()


def find_step(secret: str, code: str, *, now: datetime, after: int | None = None) -> int | None:
    """Return which step of 30 seconds a code belongs to, or `None` if it is none of the present.

    Steps up to `after` count no more: each code is good once (RFC 6238, section 5.2). All steps of
    the window are tried, whichever fits.
    """
    digits = code.translate(_SHOWN_SEPARATORS)
    totp = TOTP(secret, digits=DIGITS, interval=STEP_SECONDS)
    present = totp.timecode(now)
    found = None
    for step in range(max(0, present - WINDOW), present + WINDOW + 1):
        # As bytes, since texts that are not ASCII cannot be compared in constant time.
        fits = hmac.compare_digest(
            totp.generate_otp(step).encode(), digits.encode(errors="replace")
        )
        if fits and (after is None or step > after):
            found = step
    return found


def make_uri(secret: str, *, account: str, service: str) -> str:
    """Return what an app reads from a QR code: the secret, and what to show it as."""
    return TOTP(secret, digits=DIGITS, interval=STEP_SECONDS).provisioning_uri(
        name=account, issuer_name=service
    )
