"""How values become bytes and come back as the same: typed data, and never code."""

import json
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, cast

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic_core import PydanticSerializationError

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.errors import UncacheableValueError

with optional("msgspec", extra="cache"):
    import msgspec

_PLAIN = (
    "None, bool, int, float, str, bytes, and lists and dictionaries (with texts as keys) of them "
    "are kept as they are; say type_= for anything else"
)


class _Nothing:
    """What is returned where `None` is a value."""


NOTHING: Final = _Nothing()
"""What cannot be read: it was written for another type, or by another version of it."""


class Codec:
    """The bytes of values of one type. `schema` changes when what the type looks like does."""

    def __init__(
        self, *, schema: str, encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
    ) -> None:
        """Write with `encode`, and read with `decode`."""
        self.schema = schema
        self.encode = encode
        self._decode = decode

    def read(self, body: bytes, *, schema: str) -> Any:
        """Return the value of a body, or `NOTHING`."""
        if schema != self.schema:
            return NOTHING
        try:
            return self._decode(body)
        except (ValidationError, msgspec.MsgspecError, UnicodeDecodeError):
            return NOTHING


def codec_of(type_: Any) -> Codec:
    """Return the codec for a type: anything that pydantic or msgspec knows.

    Without a type (`None`), values are what JSON has, and bytes.

    Raises:
        UncacheableValueError: If neither knows it.
    """
    return _PLAIN_CODEC if type_ is None else _typed(type_)


@lru_cache(maxsize=1_000)
def _typed(type_: Any) -> Codec:
    if _is_struct(type_):
        return _struct_codec(type_)
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(type_)
    except PydanticSchemaGenerationError as error:
        raise UncacheableValueError(f"Pydantic does not know {type_!r}: {error}") from error

    def encode(value: Any) -> bytes:
        try:
            return adapter.dump_json(value, round_trip=True, by_alias=False, warnings="error")
        except PydanticSerializationError as error:
            raise UncacheableValueError(f"The value is none of {type_!r}: {error}") from error

    def decode(body: bytes) -> Any:
        return adapter.validate_json(body, by_alias=False, by_name=True)

    return Codec(schema=_schema_of(adapter, type_), encode=encode, decode=decode)


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _schema_of(adapter: TypeAdapter[Any], type_: Any) -> str:
    try:
        text = json.dumps(adapter.json_schema(), sort_keys=True, default=repr)
    except PydanticInvalidForJsonSchema:
        text = repr(type_)
    return _digest(text)


def _struct_codec(type_: type[msgspec.Struct]) -> Codec:
    decoder = msgspec.msgpack.Decoder(type_)

    def encode(value: Any) -> bytes:
        if not isinstance(value, type_):
            raise UncacheableValueError(f"The value is none of {type_!r}.")
        return _ENCODER.encode(value)

    text = json.dumps(msgspec.json.schema(type_), sort_keys=True, default=repr)
    return Codec(schema=_digest(text), encode=encode, decode=decoder.decode)


def _encode_plain(value: Any) -> bytes:
    _check_plain(value)
    try:
        return _ENCODER.encode(value)
    except (OverflowError, UnicodeEncodeError, RecursionError) as error:
        raise UncacheableValueError(f"The value cannot be kept: {error}") from error


def _check_plain(value: object) -> None:
    kind = type(value)
    if kind is list:
        for item in cast("list[object]", value):
            _check_plain(item)
    elif kind is dict:
        for key, item in cast("dict[object, object]", value).items():
            if type(key) is not str:
                raise UncacheableValueError(f"A key of {type(key).__name__}: {_PLAIN}.")
            _check_plain(item)
    elif value is not None and kind not in _SCALARS:
        raise UncacheableValueError(f"A value of {kind.__qualname__}: {_PLAIN}.")


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()


_ENCODER = msgspec.msgpack.Encoder()
_SCALARS = frozenset({bool, int, float, str, bytes})
_PLAIN_CODEC = Codec(schema="", encode=_encode_plain, decode=msgspec.msgpack.Decoder().decode)
