"""Page cursors: where a page ends, for the client to bring back and not to read or to write.

A token is `base64url(version, tag, sealed)`. The tag is an HMAC-SHA256 (RFC 2104) of the position
and of what the cursor is bound to: the order, what the client has filtered by, and the scope of the
repository. The position is sealed with a key stream that depends on the tag, which makes it a
synthetic initialization vector (as in RFC 5297): values that lists are sorted by are personal data
often enough, and a URL ends up in logs.
"""

import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256, shake_256
from typing import Any, cast

from sqlalchemy import Column, Table

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.persistence.errors import InvalidCursorError
from fastapi_baseline.persistence.paging.keyset import Position, Value
from fastapi_baseline.persistence.reading.ordering import SortKey
from fastapi_baseline.persistence.sessions.session import CURSOR_KEY

MAX_TOKEN_LENGTH = 4096
"""How many characters a token has at most; servers refuse requests of 8 KiB and more."""

_VERSION = b"\x01"
_TAG_BYTES = 16
_BINARY = "b"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """A position, and which way to go from there; without one, from the end that comes first."""

    position: Position | None
    backwards: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorSeal:
    """What makes tokens of cursors, and takes only those that it has made."""

    key: bytes
    binding: bytes

    def close(self, cursor: Cursor) -> str:
        """Return the token of a cursor: the same one for the same cursor.

        Raises:
            BaselineError: If a value is too long for a URL.
        """
        content = _written(cursor)
        tag = self._tag(content)
        token = urlsafe_b64encode(_VERSION + tag + self._sealed(content, tag)).rstrip(b"=").decode()
        if len(token) > MAX_TOKEN_LENGTH:
            message = "A value is too long for a cursor: sort by something shorter."
            raise BaselineError(message)
        return token

    def open(self, token: str) -> Cursor:
        """Return the cursor of a token.

        Raises:
            InvalidCursorError: If it is damaged, or was made with another key or binding.
        """
        raw = _raw(token)
        tag, sealed = raw[1 : 1 + _TAG_BYTES], raw[1 + _TAG_BYTES :]
        content = self._sealed(sealed, tag)
        if not hmac.compare_digest(tag, self._tag(content)):
            raise InvalidCursorError
        return _read(content)

    def _tag(self, content: bytes) -> bytes:
        return hmac.digest(self.key, b"tag\0" + self.binding + content, "sha256")[:_TAG_BYTES]

    def _sealed(self, content: bytes, tag: bytes) -> bytes:
        seed = hmac.digest(self.key, b"seal\0" + tag, "sha256")
        stream = shake_256(seed).digest(len(content))
        return (int.from_bytes(content) ^ int.from_bytes(stream)).to_bytes(len(content))


def cursor_seal(
    info: Mapping[Any, Any], keys: Sequence[SortKey], *, filters: Sequence[str], scope: str
) -> CursorSeal:
    """Return the seal for cursors in an order, with what the client filters by, in a scope.

    `info` is that of a session.

    Raises:
        ConfigurationError: If the session has no key to sign with.
    """
    find_key = info.get(CURSOR_KEY)
    if find_key is None:
        message = (
            "This session has no key to sign page cursors with: take it from a Database, and set "
            "DATABASE__CURSOR_KEY."
        )
        raise ConfigurationError(message)
    parts = json.dumps([[_described(key) for key in keys], [*filters], scope])
    return CursorSeal(key=find_key(), binding=sha256(parts.encode()).digest())


def _described(key: SortKey) -> list[Any]:
    # By the names of types only: what else they say of themselves may differ between processes.
    expression, kind = key.expression, type(key.expression.type).__name__
    table: Any = expression.table if isinstance(expression, Column) else None
    if isinstance(table, Table):
        text = f"{table.fullname}.{expression.name}"
    else:
        compiled = expression.compile()
        text = f"{compiled} {sorted(compiled.params.items())}"
    return [text, kind, key.descending, key.nulls_first, key.is_nullable]


def _written(cursor: Cursor) -> bytes:
    values = None if cursor.position is None else [_encoded(value) for value in cursor.position]
    return json.dumps(
        [cursor.backwards, values], ensure_ascii=False, separators=(",", ":")
    ).encode()


def _read(content: bytes) -> Cursor:
    backwards, values = cast("tuple[bool, list[Any] | None]", json.loads(content))
    position = None if values is None else tuple(_decoded(value) for value in values)
    return Cursor(position=position, backwards=backwards)


def _encoded(value: Value) -> Any:
    return {_BINARY: b64encode(value).decode()} if isinstance(value, bytes) else value


def _decoded(value: dict[str, str] | str | float | None) -> Value:
    return b64decode(value[_BINARY]) if isinstance(value, dict) else value


def _raw(token: str) -> bytes:
    """Return the bytes of a token that is written as tokens are, and in no other way."""
    if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
        raise InvalidCursorError
    try:
        raw = b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except Base64Error as error:
        raise InvalidCursorError from error
    is_canonical = urlsafe_b64encode(raw).rstrip(b"=").decode() == token
    if not is_canonical or not raw.startswith(_VERSION) or len(raw) <= 1 + _TAG_BYTES:
        raise InvalidCursorError
    return raw
