"""Values of `@cache` as data: no code in it, and the types of the function's annotation out of it."""

from functools import lru_cache
from hashlib import blake2b
from typing import Any, overload

from fastapi.encoders import jsonable_encoder
from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, from_json, to_json
from starlette.responses import Response

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.storability import STATUSES, find_terms

with optional("fastapi_cache", "jinja2", extra="cache"):
    from fastapi_cache import Coder
with optional("msgspec", extra="cache"):
    import msgspec

# What follows: the JSON of a value, or a whole response.
_VALUE = b"\x01"
_RESPONSE = b"\x02"
_encode_response = msgspec.msgpack.Encoder().encode
_decode_response = msgspec.msgpack.Decoder(tuple[int, list[tuple[bytes, bytes]], bytes]).decode


class StableBytes(bytes):
    """Bytes whose hash is the same in every process: `@cache` makes the `ETag` of it."""

    def __hash__(self) -> int:
        return int.from_bytes(blake2b(self, digest_size=7).digest(), "big")

    __eq__ = bytes.__eq__


class UnkeptBytes(StableBytes):
    """What stands for a value that is not to be kept: a backend of ours leaves it out."""


class TypedCoder(Coder):
    """A coder whose values are JSON, and come back as what the function is annotated with.

    Without an annotation, they come back as what JSON has. A response that the function returns
    keeps its status and headers; an error, a cookie, and a stream are not kept at all.
    """

    @classmethod
    def encode(cls, value: Any) -> bytes:
        """Return a value as bytes."""
        if isinstance(value, Response):
            return _encode(value)
        try:
            return StableBytes(
                _VALUE + to_json(value, by_alias=False, round_trip=True, fallback=jsonable_encoder)
            )
        except (PydanticSerializationError, UnicodeDecodeError, ValueError):
            return UnkeptBytes()

    @classmethod
    def decode(cls, value: bytes) -> Any:
        """Return what `encode` made bytes of, as JSON has it."""
        if value[:1] == _RESPONSE:
            return _decode(value)
        return from_json(value[1:])

    @overload
    @classmethod
    def decode_as_type(cls, value: bytes, *, type_: type[Any]) -> Any: ...
    @overload
    @classmethod
    def decode_as_type(cls, value: bytes, *, type_: None) -> Any: ...
    @classmethod
    def decode_as_type(cls, value: bytes, *, type_: type[Any] | None) -> Any:
        """Return what `encode` made bytes of, as a value of a type."""
        if type_ is None or value[:1] == _RESPONSE:
            return cls.decode(value)
        return adapter_of(type_).validate_json(value[1:], by_alias=True, by_name=True)


@lru_cache(maxsize=1_000)
def adapter_of(type_: Any) -> TypeAdapter[Any]:
    """Return what reads values of a type."""
    return TypeAdapter(type_)


def _encode(response: Response) -> bytes:
    headers = [(name.lower(), value) for name, value in response.raw_headers]
    # A stream has no body yet, and is read once only.
    body: object = getattr(response, "body", None)
    if (
        response.status_code not in STATUSES
        or not isinstance(body, bytes)
        or find_terms(headers) is None
    ):
        return UnkeptBytes()
    return StableBytes(_RESPONSE + _encode_response((response.status_code, headers, body)))


def _decode(value: bytes) -> Response:
    status, headers, body = _decode_response(value[1:])
    response = Response(body, status_code=status)
    response.raw_headers = headers
    return response
