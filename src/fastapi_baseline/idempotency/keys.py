"""The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header-07, section 2.1)."""

import re

from starlette.types import Scope

from fastapi_baseline.errors import FieldError
from fastapi_baseline.idempotency.errors import InvalidIdempotencyKeyError

HEADER = "Idempotency-Key"
EXAMPLE = '"8e03978e-40d5-43dd-bc93-6894a57f9324"'
HEADER_NAME = b"idempotency-key"
"""As servers give it to applications."""
MAX_KEY_LENGTH = 255
"""In characters, without quotes; a UUID has 36."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""Methods that change nothing, and so can be repeated as they are (RFC 9110, section 9.2.1)."""

# A String of RFC 9651, section 3.3.3, which has printable ASCII only. Most clients in the wild send
# the key as it is, so what cannot be mistaken is taken, too.
_STRING = rf'"((?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}})"'
_BARE = rf"([A-Za-z0-9!#$%&'*+./:=@^_`|~-]{{1,{MAX_KEY_LENGTH}}})"
PATTERN = f"^(?:{_STRING}|{_BARE})$"
"""What the header may hold, for JSON Schema."""
_KEY = re.compile(f"{_STRING}|{_BARE}")


def has_key(scope: Scope) -> bool:
    """Return whether a request has the header at all."""
    for name, _ in scope["headers"]:  # noqa: SIM110 -- any() with a generator takes twice as long
        if name == HEADER_NAME:
            return True
    return False


def find_key(scope: Scope) -> str | None:
    """Return the key of a request, or `None` if it has none.

    It is read as a String (`"8e03978e"`) or, which the draft does not allow, as a bare word without
    the quotes; both mean the same key.

    Raises:
        InvalidIdempotencyKeyError: If the header is neither, is there twice, or is too long.
    """
    values = [value for name, value in scope["headers"] if name == HEADER_NAME]
    if not values:
        return None
    match = _KEY.fullmatch(values[0].decode("latin-1").strip(" \t"))
    if len(values) > 1 or match is None:
        detail = f'It must be one String of 1 to {MAX_KEY_LENGTH} characters, such as "8e03978e".'
        raise InvalidIdempotencyKeyError(
            fields=[
                FieldError(
                    path=(HEADER,), detail=detail, code="invalid_idempotency_key", location="header"
                )
            ]
        )
    return match[2] or re.sub(r"\\(.)", r"\1", match[1])
