"""What a page puts into its forms to show that they are its own.

    <input type="hidden" name="csrf_token" value="{{ sessions.make_form_token(request) }}">

A form cannot send headers. Its token is made of the secret in the cookie, which other sites
cannot read, so that nothing of it is kept; it dies with that secret when a session begins, is
rotated, or ends. It looks different each time, so that compression does not give it away (BREACH).
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable

FORM_FIELD = "csrf_token"
"""What the field of a form is called."""
_NONCE_BYTES = 16
_LABEL = b"fastapi-baseline form token\x00"


def make_form_token(
    secret: str, *, token_bytes: Callable[[int], bytes] = secrets.token_bytes
) -> str:
    """Return a token for the forms of a page that the holder of `secret` is shown."""
    nonce = token_bytes(_NONCE_BYTES)
    return base64.urlsafe_b64encode(nonce + _sign(secret, nonce)).decode("ascii")


def is_form_token(token: str, *, secret: str) -> bool:
    """Return whether a token was made for the holder of `secret`."""
    try:
        given = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return False
    nonce, signature = given[:_NONCE_BYTES], given[_NONCE_BYTES:]
    return hmac.compare_digest(signature, _sign(secret, nonce))


def _sign(secret: str, nonce: bytes) -> bytes:
    return hmac.digest(secret.encode("ascii"), _LABEL + nonce, hashlib.sha256)
