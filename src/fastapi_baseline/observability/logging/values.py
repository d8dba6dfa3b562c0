"""Any value as one that JSON can hold, in a bounded size and without secrets."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import Enum
from math import isfinite
from typing import Any, cast

from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor

LONGEST_TEXT = 16_384
"""How many characters of one text are written."""

OVERLAP = 2_048
"""How much more of a text that is cut is searched for secrets, which may lie across the cut."""

_DEEPEST = 6
_MOST_ITEMS = 200
_WIDEST_INTEGER = 64

Plain = str | int | float | bool | list[Any] | dict[str, Any] | None


def shorten(text: str, redact: Callable[[str], str]) -> str:
    """Return a text without secrets, and no longer than `LONGEST_TEXT` and a mark."""
    if len(text) <= LONGEST_TEXT:
        return redact(text)
    kept = redact(text[: LONGEST_TEXT + OVERLAP])[:-OVERLAP][:LONGEST_TEXT]
    return f"{kept}… ({len(text)} characters)"


def to_text(value: object) -> str:
    """Return what the value says of itself, even if it cannot say anything."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 -- a line that is written matters more than a part of it
        return f"<{type(value).__name__}>"


def to_plain(value: object, redactor: Redactor, *, depth: int = 0) -> Plain:
    """Return the value in types that JSON has.

    Numbers that JSON does not have become `None` (NaN, infinities) or hexadecimal texts (more than
    64 bits), and whatever JSON does not know becomes its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return to_plain(value.value, redactor, depth=depth)
    if isinstance(value, str):
        return shorten(str.__str__(value), redactor.redact)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _WIDEST_INTEGER else hex(value)
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    return _unfold(value, redactor, depth=depth)


def _unfold(value: object, redactor: Redactor, *, depth: int) -> Plain:
    kind = type(value).__name__
    if isinstance(value, bytes | bytearray):
        return shorten(value[: 2 * LONGEST_TEXT].decode(errors="backslashreplace"), redactor.redact)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if depth < _DEEPEST:
        try:
            if isinstance(value, Mapping):
                mapping = cast("Mapping[object, object]", value)
                return _plain_mapping(mapping, redactor, depth=depth + 1)
            if isinstance(value, Sequence | AbstractSet):
                items = cast("Sequence[object]", value)
                return _plain_items(items, redactor, depth=depth + 1)
        except Exception:  # noqa: BLE001 -- a collection of somebody else's may fail when it is read
            return f"<{kind}>"
    return shorten(to_text(value), redactor.redact)


def _plain_mapping(
    mapping: Mapping[object, object], redactor: Redactor, *, depth: int
) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for number, (key, value) in enumerate(mapping.items()):
        if number == _MOST_ITEMS:
            plain["…"] = f"{len(mapping)} items"
            break
        name = shorten(_name(key), redactor.redact)
        is_secret = value is not None and value.__class__ is not bool and redactor.is_secret(name)
        plain[name] = REDACTED if is_secret else to_plain(value, redactor, depth=depth)
    return plain


def _plain_items(items: Sequence[object], redactor: Redactor, *, depth: int) -> list[Any]:
    plain: list[Any] = []
    for number, item in enumerate(items):
        if number == _MOST_ITEMS:
            plain.append(f"… ({len(items)} items)")
            break
        plain.append(
            _plain_pair(item, redactor, depth=depth)
            if _is_pair(item)
            else to_plain(item, redactor, depth=depth)
        )
    return plain


def _is_pair(item: object) -> bool:
    """Return whether it looks like a header: a name and its value."""
    return (
        isinstance(item, tuple | list)
        and len(cast("Sequence[object]", item)) == 2  # noqa: PLR2004 -- a pair
        and isinstance(item[0], str | bytes)
    )


def _plain_pair(item: object, redactor: Redactor, *, depth: int) -> list[Any]:
    name, value = cast("tuple[str | bytes, object]", item)
    text = _name(name)
    secret = redactor.is_secret(text)
    return [
        shorten(text, redactor.redact),
        REDACTED if secret else to_plain(value, redactor, depth=depth + 1),
    ]


def _name(key: object) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else to_text(key)
