"""Records out of a json-server database of any size, one at a time."""

import codecs
from collections.abc import Iterator
from decimal import Decimal
from io import BufferedReader
from typing import Any, cast

import ijson  # pyright: ignore[reportMissingTypeStubs]

COLLECTION = "patients"

_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The backends in C are faster, but put `?` in the place of half a surrogate pair without a word.
_PARSER: Any = ijson.get_backend("python")  # pyright: ignore[reportUnknownMemberType]

Event = tuple[str, object]
Record = dict[str, object]


class FormatError(Exception):
    """The file is no json-server database; the message is one line that says where it stops."""


class Source:
    """A file or a pipe, and how much of it has been read."""

    def __init__(self, stream: BufferedReader) -> None:
        start = stream.peek(len(codecs.BOM_UTF8))
        if start.startswith(_BYTE_ORDER_MARKS):
            raise FormatError("it is UTF-16; save it as UTF-8")
        self.position = 0
        self._stream = stream
        if start.startswith(codecs.BOM_UTF8):
            self.read(len(codecs.BOM_UTF8))

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end."""
        # As many as there are: the writer of a pipe may wait for what it has written to arrive.
        content = self._stream.read1(size)
        self.position += len(content)
        return content


def read_records(source: Source) -> Iterator[object]:
    """Yield each element of the array `patients`, which should be an object.

    Only one element is held at a time. What is nested inside of one is left out, an empty list
    standing for it, since no field of a patient has anything nested.

    Raises:
        FormatError: If the file is not JSON, or has no such array; elements before the fault have
            been yielded.
    """
    try:
        yield from _elements(cast("Iterator[Event]", _PARSER.basic_parse(source)))
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        # The text of the fault may hold a part of the file, over several lines.
        what = " ".join(str(error).split())[:200]
        raise FormatError(f"not valid JSON near byte {source.position}: {what}") from error


def _elements(events: Iterator[Event]) -> Iterator[object]:
    if next(events) != ("start_map", None):
        raise FormatError("it holds no object")
    found = False
    for event, key in events:
        if event == "map_key":
            opening, _ = next(events)
            if key == COLLECTION and opening != "start_array":
                raise FormatError(f"{COLLECTION!r} is no array")
            if key == COLLECTION:
                found = True
                yield from _array(events)
            else:
                _leave_out(opening, events)
    if not found:
        raise FormatError(f"it has no array {COLLECTION!r}")


def _array(events: Iterator[Event]) -> Iterator[object]:
    for event, value in events:
        if event == "end_array":
            return
        yield _object(events) if event == "start_map" else _flat(event, value, events)


def _object(events: Iterator[Event]) -> Record:
    record: Record = {}
    for event, key in events:
        if event == "end_map":
            break
        record[str(key)] = _flat(*next(events), events)
    return record


def _flat(event: str, value: object, events: Iterator[Event]) -> object:
    if _leave_out(event, events):
        return []
    return float(value) if isinstance(value, Decimal) else value


def _leave_out(opening: str, events: Iterator[Event]) -> bool:
    """Read past an array or an object that has just begun; return whether one had."""
    depth = int(opening.startswith("start_"))
    was_nested = depth > 0
    while depth:
        event, _ = next(events)
        depth += event.startswith("start_") - event.startswith("end_")
    return was_nested
