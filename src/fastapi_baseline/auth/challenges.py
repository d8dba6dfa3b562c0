"""What `WWW-Authenticate` says: challenges, as RFC 9110 (section 11.6.1) has them."""

import re
from collections.abc import Iterable

LAST_RESORT = "Cookie"
"""What is said where nothing else is: a 401 needs a challenge (RFC 9110, section 15.5.2), no scheme
is registered for cookies, and browsers leave one that they do not know to the page."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


def make_challenge(scheme: str, **parameters: str | None) -> str:
    """Return a challenge: `Bearer realm="orders", error="invalid_token"`.

    Parameters that are `None` are left out.

    Raises:
        ValueError: If the scheme or a name is no token, or a value has characters that no header
            may have.
    """
    if not _TOKEN.fullmatch(scheme):
        raise ValueError("A scheme is a token (RFC 9110, section 5.6.2).")
    return with_parameters(scheme, **parameters)


def with_parameters(challenge: str, **parameters: str | None) -> str:
    """Return a challenge with more parameters; those that are `None` are left out.

    Raises:
        ValueError: If a name is no token, or a value has characters that no header may have.
    """
    added = [f"{name}={_quote(value)}" for name, value in parameters.items() if value is not None]
    if not added:
        return challenge
    separator = ", " if " " in challenge else " "
    return f"{challenge}{separator}{', '.join(added)}"


def join_challenges(challenges: Iterable[str | None]) -> str:
    """Return one value that offers all of them, and the last resort if there is none."""
    said = dict.fromkeys(challenge for challenge in challenges if challenge)
    return ", ".join(said) or LAST_RESORT


def is_scope(text: str) -> bool:
    """Return whether a text may be a scope (RFC 6749, section 3.3)."""
    return _SCOPE.fullmatch(text) is not None


def _quote(value: str) -> str:
    # HTAB, SP and visible ASCII: what else a quoted-string may have, not every client reads.
    if not value.isascii() or any(not (" " <= sign <= "~") for sign in value):
        raise ValueError("A parameter of a challenge has printable ASCII characters only.")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
