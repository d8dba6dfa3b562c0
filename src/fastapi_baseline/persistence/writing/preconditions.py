"""Which version a client means: entity tags, and the If-Match header (RFC 9110, section 13.1.1).

A route takes `IfMatch` and passes it on as `expected_version`:

    @router.patch("/items/{item_id}")
    async def patch_item(item_id: UUID, body: ItemPatch, if_match: IfMatch, ...) -> ItemOut:
        return await items.patch(item_id, body, expected_version=if_match)
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Depends, Header
from sqlalchemy import BigInteger, ColumnElement, SmallInteger, false
from starlette.requests import HTTPConnection

from fastapi_baseline.errors import (
    ConfigurationError,
    FieldError,
    InvalidRequestError,
    PreconditionRequiredError,
)
from fastapi_baseline.persistence.shape import Shape, shape_of

MAX_ENTITY_TAGS = 100
"""More than any client has reason to send; each becomes a value of a statement."""

# RFC 9110, section 8.8.3; servers decode what is beyond ASCII as Latin-1.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
# One that is written in another way was not made by `etag_of`, so it matches nothing.
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_BITS: dict[type[Any], int] = {SmallInteger: 16, BigInteger: 64}


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """The versions of which a client says that one must be the present one.

    `versions` are texts as in `etag_of`; `None` stands for `*`, which any version meets.
    """

    versions: frozenset[str] | None

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return what an If-Match header says. Tags that are weak match nothing.

        Raises:
            InvalidRequestError: If it says nothing that RFC 9110 allows, or too much.
        """
        if value.strip() == "*":
            return cls(versions=None)
        tags = [tag for part in _split(value) if (tag := part.strip(" \t"))]
        matches = [_TAG.fullmatch(tag) for tag in tags]
        if not tags or len(tags) > MAX_ENTITY_TAGS or None in matches:
            raise _malformed()
        # Strong comparison (section 8.8.3.2): a weak tag equals none.
        strong = (match[2] for match in matches if match is not None and match[1] is None)
        return cls(versions=frozenset(strong))

    def is_met_by(self, version: object) -> bool:
        """Return whether this version is among those that are expected."""
        return self.versions is None or str(version) in self.versions


def etag_of(entity: object) -> str:
    """Return the entity tag of an entity, or of a version: `"3"`, in its quotes.

    It tells versions of one entity apart, and is strong: an entity that is shown in several ways
    needs more than this in the response to each.

    Raises:
        ConfigurationError: If the model of the entity has no version.
    """
    if isinstance(entity, int | str):
        return f'"{entity}"'
    shape = shape_of(type(entity))
    check_versioned(shape)
    return f'"{version_of(entity, shape)}"'


def version_of(entity: object, shape: Shape) -> object:
    """Return the version of an entity as it was loaded, or `None` if the model has none."""
    return None if shape.version is None else getattr(entity, shape.version.key)


def check_versioned(shape: Shape) -> None:
    """Refuse to expect a version of what has none.

    Raises:
        ConfigurationError: If the model has no version.
    """
    if shape.version is None:
        message = f"{shape.mapper.class_.__name__} has no version: derive it from Versioned."
        raise ConfigurationError(message)


def is_expected(version: object, expected: int | Precondition | None) -> bool:
    """Return whether a version is what the asker expects, if anything."""
    if isinstance(expected, Precondition):
        return expected.is_met_by(version)
    return expected is None or version == expected


def version_conditions(
    shape: Shape, expected: int | Precondition | None
) -> list[ColumnElement[bool]]:
    """Return what a row must meet to be in a version that is expected.

    Raises:
        ConfigurationError: If one is expected, and the model has none.
    """
    if expected is None:
        return []
    check_versioned(shape)
    column: Any = shape.version
    if isinstance(expected, Precondition):
        if expected.versions is None:
            return []
        numbers = [int(text) for text in expected.versions if _NUMBER.fullmatch(text)]
    else:
        numbers = [expected]
    # What the column cannot hold would be refused as a value, though it only matches nothing.
    limit = 2 ** (_bits(column.type) - 1)
    possible = sorted(number for number in numbers if -limit <= number < limit)
    return [column.in_(possible) if possible else false()]


def _bits(kind: object) -> int:
    return next((bits for type_, bits in _BITS.items() if isinstance(kind, type_)), 32)


def _split(value: str) -> Iterable[str]:
    """Return what stands between commas; one inside of quotes belongs to its tag."""
    return re.findall(r'(?:"[^"]*"|[^,"])+', value) if value.count('"') % 2 == 0 else [value]


def _malformed() -> InvalidRequestError:
    detail = f'It must be "*", or a list of at most {MAX_ENTITY_TAGS} entity tags such as "3".'
    return InvalidRequestError(
        "The If-Match header is not valid.",
        fields=[
            FieldError(
                path=("If-Match",), detail=detail, code="invalid_entity_tag", location="header"
            )
        ],
    )


_DESCRIPTION = (
    "The entity tag of the version that is meant, as the ETag header of an earlier response has "
    "it. If the resource has changed since, nothing is done and the answer is 412."
)
_Shown = Annotated[
    str | None, Header(alias="If-Match", description=_DESCRIPTION, examples=['"3"', "*"])
]


def _find_if_match(connection: HTTPConnection, shown: _Shown = None) -> Precondition | None:
    del shown  # It documents the header; a list may also come in several (section 5.3).
    values = connection.headers.getlist("If-Match")
    return Precondition.parse(", ".join(values)) if values else None


def _get_if_match(
    precondition: Annotated[Precondition | None, Depends(_find_if_match)],
) -> Precondition:
    if precondition is None:
        raise PreconditionRequiredError(
            "The request must say which version it means: send its entity tag as If-Match."
        )
    return precondition


IfMatch = Annotated[Precondition, Depends(_get_if_match)]
"""What the client expects the present version to be; a request that does not say is refused (428,
RFC 6585, section 3)."""

OptionalIfMatch = Annotated[Precondition | None, Depends(_find_if_match)]
"""What the client expects the present version to be, or `None` if it does not say."""
