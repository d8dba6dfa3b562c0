"""Fields as words: `total:decimal(12,2)`, `status:enum(open|paid)`, `customer:ref=customer?`.

field      name ":" type modifiers
type       "string" ["(" max ")"]  | "text" ["(" max ")"]  | "integer" | "bigint" | "number"
         | "decimal" ["(" digits "," places ")"] | "boolean" | "date" | "datetime" | "uuid"
         | "email" | "url" | "json" | "enum(" value { "|" value } ")" | "ref" "=" resource
modifiers  "?" may be left out, "!" no two have the same, "#" has an index; in any order
"""

import re
from collections.abc import Sequence

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.naming import to_snake_case
from fastapi_baseline.scaffolding.specification import FieldSpecification, FieldType

DEFAULT_LENGTH = 255
"""How many characters a string may have if nobody says."""
MAX_LENGTH = 10_000
"""How many characters a string may have."""
TEXT_LENGTH = 10_000
"""How many characters a text may have if nobody says."""
MAX_TEXT_LENGTH = 1_000_000
"""How many characters a text may have."""
EMAIL_LENGTH = 254
"""How many characters an e-mail address has at most (RFC 5321, section 4.5.3.1.3)."""
URL_LENGTH = 2_048
"""How many characters a URL may have."""
DECIMAL = (12, 2)
"""How many digits an exact number has, and how many of them after the point, if nobody says."""
MAX_DIGITS = 38
"""How many digits an exact number may have."""
MAX_CHOICE = 64
"""How many characters a value of an enumeration may have."""

_WORD = re.compile(
    r"(?P<name>[^:=()]+):(?P<type>[a-z]+)"
    r"(?:\((?P<arguments>[^()]*)\))?(?:=(?P<target>[\w-]+))?(?P<modifiers>[?!#]*)"
)
_CHOICE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_. -]*[A-Za-z0-9])?")
_NEVER_UNIQUE = {
    FieldType.BOOLEAN: "there would be two rows at most",
    FieldType.ENUM: "there would be one row for each value at most",
    FieldType.JSON: "objects are not compared",
    FieldType.TEXT: "an index holds no long text: use string",
}
_NEVER_INDEXED = {
    FieldType.JSON: "the index that it needs depends on what is asked of it",
    FieldType.TEXT: "an index holds no long text: use string",
}


def parse_fields(words: Sequence[str]) -> tuple[FieldSpecification, ...]:
    """Return the fields that words say.

    Raises:
        ConfigurationError: If one of them is no field; it says what is wrong with it.
    """
    return tuple(parse_field(word) for word in words)


def parse_field(word: str) -> FieldSpecification:
    """Return the field that a word says.

    Raises:
        ConfigurationError: If it is no field; it says what is wrong with it.
    """
    found = _WORD.fullmatch(word.strip())
    if found is None:
        message = f"{word!r} is no field; write NAME:TYPE, such as 'total:decimal(12,2)'."
        raise ConfigurationError(message)
    try:
        kind = FieldType(found["type"])
    except ValueError:
        known = ", ".join(FieldType)
        message = f"{word!r}: there is no type {found['type']!r}; there are {known}."
        raise ConfigurationError(message) from None
    try:
        return _field(found, kind)
    except ValueError as error:
        raise ConfigurationError(f"{word!r}: {error}.") from None


def word_of(field: FieldSpecification) -> str:
    """Return the word that says a field: what `parse_field` takes."""
    match field.type:
        case FieldType.STRING | FieldType.TEXT:
            arguments = f"({field.max_length})" if field.max_length else ""
        case FieldType.DECIMAL:
            arguments = f"({field.precision},{field.scale})"
        case FieldType.ENUM:
            arguments = f"({'|'.join(field.choices)})"
        case FieldType.REFERENCE:
            arguments = f"={field.reference}"
        case _:
            arguments = ""
    marks = ("?" * field.is_optional) + ("!" * field.is_unique) + ("#" * field.is_indexed)
    return f"{field.name}:{field.type}{arguments}{marks}"


def _field(found: re.Match[str], kind: FieldType) -> FieldSpecification:
    modifiers = found["modifiers"]
    if len(set(modifiers)) != len(modifiers):
        raise ValueError("a modifier is there twice")
    if "!" in modifiers and kind in _NEVER_UNIQUE:
        raise ValueError(f"{kind} cannot be unique (!): {_NEVER_UNIQUE[kind]}")
    if "#" in modifiers and kind in _NEVER_INDEXED:
        raise ValueError(f"{kind} cannot be indexed (#): {_NEVER_INDEXED[kind]}")
    if (found["target"] is None) == (kind is FieldType.REFERENCE):
        raise ValueError("it is written ref=RESOURCE, and nothing else has an =")
    arguments = found["arguments"]
    precision, scale = _digits(arguments) if kind is FieldType.DECIMAL else (None, None)
    choices = _choices(arguments) if kind is FieldType.ENUM else ()
    return FieldSpecification(
        name=to_snake_case(found["name"]).removesuffix("_id")
        if kind is FieldType.REFERENCE
        else to_snake_case(found["name"]),
        type=kind,
        is_optional="?" in modifiers,
        is_unique="!" in modifiers,
        is_indexed="#" in modifiers and "!" not in modifiers,
        max_length=_length(arguments, kind),
        precision=precision,
        scale=scale,
        choices=choices,
        reference=to_snake_case(found["target"]) if found["target"] else None,
    )


def _length(arguments: str | None, kind: FieldType) -> int | None:
    match kind:
        case FieldType.STRING:
            return _number(arguments, default=DEFAULT_LENGTH, largest=MAX_LENGTH)
        case FieldType.TEXT:
            return _number(arguments, default=TEXT_LENGTH, largest=MAX_TEXT_LENGTH)
        case FieldType.DECIMAL | FieldType.ENUM:
            return None
        case _:
            if arguments is not None:
                raise ValueError(f"{kind} has nothing in brackets")
            return {FieldType.EMAIL: EMAIL_LENGTH, FieldType.URL: URL_LENGTH}.get(kind)


def _number(text: str | None, *, default: int, largest: int) -> int:
    if text is None:
        return default
    if not text.isascii() or not text.strip().isdigit() or not 1 <= int(text) <= largest:
        raise ValueError(f"in brackets stands how many characters it has at most, 1 to {largest}")
    return int(text)


def _digits(text: str | None) -> tuple[int, int]:
    if text is None:
        return DECIMAL
    digits, comma, places = text.partition(",")
    found = [part.strip() for part in ([digits, places] if comma else [digits, "0"])]
    if all(part.isascii() and part.isdigit() for part in found):
        precision, scale = (int(part) for part in found)
        if 1 <= precision <= MAX_DIGITS and scale <= precision:
            return precision, scale
    message = f"in brackets stand its digits (1 to {MAX_DIGITS}), and how many after the point"
    raise ValueError(message)


def _choices(text: str | None) -> tuple[str, ...]:
    choices = tuple(part.strip() for part in text.split("|")) if text else ()
    if not choices or not all(_CHOICE.fullmatch(part) for part in choices):
        raise ValueError("in brackets stand its values, with | between them: enum(open|paid)")
    if max(map(len, choices)) > MAX_CHOICE:
        raise ValueError(f"a value has at most {MAX_CHOICE} characters")
    if len({to_member(part) for part in choices}) != len(choices):
        raise ValueError("two of its values would have the same name in Python")
    return choices


def to_member(choice: str) -> str:
    """Return what the member of an enumeration is called that has a value."""
    name = re.sub(r"[^A-Z0-9]+", "_", to_snake_case(choice).upper()).strip("_")
    return name if name[:1].isalpha() else f"VALUE_{name}"
