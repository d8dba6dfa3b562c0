"""Codes on paper, for who has lost the second factor: each is good once.

They have 120 random bits, so a hash of them needs no salt and no work (NIST SP 800-63B-4, section
3.1.2.2: from 112 bits on).
"""

import hashlib
import secrets
from collections.abc import Callable

CODES = 10
"""How many there are at a time."""
CODE_BYTES = 15
"""The random bytes of one; 24 characters."""

# Crockford's base 32 without I, L, O and U, which are read as others or make words.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_GROUP = 4
_CHARACTERS = CODE_BYTES * 8 // 5
_MISREAD = str.maketrans({"I": "1", "L": "1", "O": "0", "-": "", " ": ""})


def make_codes(token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> tuple[str, ...]:
    """Return new codes, as people are shown them: `7QKM-4D2X-...`."""
    return tuple(_show(token_bytes(CODE_BYTES)) for _ in range(CODES))


def normalize(code: str) -> str | None:
    """Return a code without what people add or misread, or `None` if it is none."""
    plain = code.upper().translate(_MISREAD)
    if len(plain) != _CHARACTERS or not set(plain) <= set(_ALPHABET):
        return None
    return plain


def digest(code: str, *, subject: str) -> str:
    """Return what is stored of a code of a user, which says neither the code nor whose it is.

    Raises:
        ValueError: If it is no code.
    """
    plain = normalize(code)
    if plain is None:
        raise ValueError("This is no recovery code.")
    return hashlib.sha256(f"{subject}\0{plain}".encode()).hexdigest()


def _show(random: bytes) -> str:
    number = int.from_bytes(random, "big")
    plain = "".join(_ALPHABET[number >> 5 * place & 31] for place in range(_CHARACTERS))
    return "-".join(plain[at : at + _GROUP] for at in range(0, _CHARACTERS, _GROUP))
