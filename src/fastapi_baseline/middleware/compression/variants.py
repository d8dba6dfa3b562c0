"""Entity tags of encoded bodies.

A strong tag stands for certain bytes, so each encoding needs a tag of its own (RFC 9110, section
8.8.3.3): that of the body as it is, with the name of the coding at its end. What is inside of this
layer knows only the tags that it has made, so the ending is taken off what clients send.

`If-Range` is left as it is. A tag with an ending means encoded bytes, of which no part is sent, so
it must match nothing: the client then gets all of the body, and not a part of another one.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from fastapi_baseline.entity_tags import (
    MAX_ENTITY_TAGS,
    EntityTag,
    EntityTags,
    InvalidEntityTagError,
)
from fastapi_baseline.middleware.compression.encoders import CODINGS

RawHeaders = Sequence[tuple[bytes, bytes]]

IF_MATCH = b"if-match"
IF_NONE_MATCH = b"if-none-match"

ENCODED_BODIES = "fastapi_baseline.encoded_bodies"
"""Where a layer inside, such as a cache, puts what remembers the encodings of a body."""

_ENDINGS = {f"-{coding}": coding for coding in CODINGS}


class EncodedBodies(Protocol):
    """What remembers the encodings of one body, so that they are made once."""

    body: bytes
    """What they are encodings of: the same object, and not only an equal one."""

    def find(self, coding: str) -> bytes | None:
        """Return the body in a coding, if it is known."""
        ...

    def keep(self, coding: str, encoded: bytes) -> None:
        """Remember the body in a coding."""
        ...


def tag_of_coding(value: bytes, coding: str) -> bytes:
    """Return the ETag of a body in an encoding, from the ETag of the body as it is.

    A weak one stays: it says that the meaning is the same, which no encoding changes.
    """
    if value[:1] != b'"' or value[-1:] != b'"':
        return value
    return b'%b-%b"' % (value[:-1], coding.encode("ascii"))


def take_endings_off(
    headers: RawHeaders, *, acceptable: Collection[str]
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a request with tags that the inside of this layer knows.

    What the client sent stays too, since a handler may end its own tags like this. `If-None-Match`
    asks whether what the client has will do, so there the coding must be one that it can still
    read; `If-Match` asks only for the version.
    """
    return [
        (name, _take_off(value, acceptable if name == IF_NONE_MATCH else CODINGS))
        if name in {IF_MATCH, IF_NONE_MATCH}
        else (name, value)
        for name, value in headers
    ]


def _take_off(value: bytes, codings: Collection[str]) -> bytes:
    if not any(f'{ending}"'.encode("ascii") in value for ending in _ENDINGS):
        return value
    tags = _find_tags([value])
    bare = [plain for tag in tags if (plain := _without_ending(tag, codings)) is not None]
    known = [*bare, *tags][:MAX_ENTITY_TAGS]
    return ", ".join(map(str, known)).encode("latin-1") if bare else value


def _without_ending(tag: EntityTag, codings: Collection[str]) -> EntityTag | None:
    opaque, dash, coding = tag.opaque.rpartition("-")
    if not dash or coding not in codings:
        return None
    return EntityTag(opaque, weak=tag.weak)


def tag_that_matched(value: bytes, asked: Sequence[bytes], codings: Iterable[str | None]) -> bytes:
    """Return the ETag of a 304: the one of those that were asked for which it confirms.

    `value` is what the inside of this layer says, `asked` is what the client sent, and `codings`
    are those that it can read, what it would get first; `None` is the body as it is. The client
    may have several variants stored, and finds the one to be used again by its tag (RFC 9111,
    section 4.3.4).
    """
    tags = {f'"{tag.opaque}"' for tag in _find_tags(asked)}
    variants = (tag_of_coding(value, coding) if coding else value for coding in codings)
    return next((one for one in variants if one.decode("latin-1") in tags), value)


def _find_tags(values: Sequence[bytes]) -> Sequence[EntityTag]:
    """Return the tags of a list, or none if it is `*`, or not written as it should be."""
    try:
        return EntityTags.parse(b", ".join(values).decode("latin-1")).tags or ()
    except InvalidEntityTagError:
        return ()
