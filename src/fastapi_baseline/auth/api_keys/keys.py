"""What a key looks like: `<prefix>_<id>_<secret>_<checksum>`, all in letters and digits.

The prefix lets scanners find keys that were published, and the checksum lets them, and the service,
tell a key from what only resembles one without asking anybody. It proves nothing: the secret does.
"""

import hashlib
import re
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE = len(_ALPHABET)
_ID_BYTES = 12
_SECRET_BYTES = 32
_CHECKSUM_BYTES = 4

ID_LENGTH = 17
"""How many characters an identifier has: 96 bits."""
SECRET_LENGTH = 43
"""How many characters a secret has: 256 bits."""
CHECKSUM_LENGTH = 6
"""How many characters a CRC-32 has."""
DIGEST_LENGTH = 64
"""How many characters the SHA-256 of a secret has."""

_PATTERN = re.compile(
    rf"([a-z][a-z0-9]{{1,15}})_([0-9A-Za-z]{{{ID_LENGTH}}})"
    rf"_([0-9A-Za-z]{{{SECRET_LENGTH}}})_([0-9A-Za-z]{{{CHECKSUM_LENGTH}}})"
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key, taken apart. Only the digest of its secret is ever stored."""

    id: str
    digest: str
    text: str = field(repr=False)
    """All of it, as its owner sends it."""


def make_key(prefix: str, *, token_bytes: Callable[[int], bytes] = secrets.token_bytes) -> Key:
    """Return a new key; its secret has 256 random bits, which no slow hash has to protect."""
    identifier = _encode(token_bytes(_ID_BYTES), length=ID_LENGTH)
    secret = _encode(token_bytes(_SECRET_BYTES), length=SECRET_LENGTH)
    body = f"{prefix}_{identifier}_{secret}"
    return Key(id=identifier, digest=_digest(secret), text=f"{body}_{_checksum(body)}")


def parse_key(text: str, *, prefix: str) -> Key | None:
    """Return a key, or `None` if the text is none that this service has made."""
    match = _PATTERN.fullmatch(text)
    if match is None or match[1] != prefix or match[4] != _checksum(text[: match.end(3)]):
        return None
    return Key(id=match[2], digest=_digest(match[3]), text=text)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    checksum = zlib.crc32(body.encode()).to_bytes(_CHECKSUM_BYTES, "big")
    return _encode(checksum, length=CHECKSUM_LENGTH)


def _encode(data: bytes, *, length: int) -> str:
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, _BASE)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
