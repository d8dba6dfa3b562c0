"""Which version a client means: entity tags, and the If-Match header (RFC 9110, section 13.1.1).

A route takes `IfMatch` and passes it on as `expected_version`:

    @router.patch("/items/{item_id}")
    async def patch_item(item_id: UUID, body: ItemPatch, if_match: IfMatch, ...) -> ItemOut:
        return await items.patch(item_id, body, expected_version=if_match)
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Self

from fastapi import Depends, Header
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import BigInteger, ColumnElement, SmallInteger, false
from starlette.requests import HTTPConnection

from fastapi_baseline.entity_tags import (
    MAX_ENTITY_TAGS,
    EntityTag,
    EntityTags,
    InvalidEntityTagError,
)
from fastapi_baseline.errors import (
    ConfigurationError,
    FieldError,
    InvalidRequestError,
    PreconditionRequiredError,
)
from fastapi_baseline.persistence.shape import Shape, shape_of

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
        try:
            tags = EntityTags.parse(value).tags
        except InvalidEntityTagError as error:
            raise _malformed() from error
        if tags is None:
            return cls(versions=None)
        # Strong comparison (section 8.8.3.2): a weak tag equals none.
        return cls(versions=frozenset(tag.opaque for tag in tags if not tag.weak))

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
        return str(EntityTag(str(entity)))
    shape = shape_of(type(entity))
    check_versioned(shape)
    return str(EntityTag(str(version_of(entity, shape))))


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


HEADER = "If-Match"
REQUIRED_DESCRIPTION = (
    "The entity tag of the version that is meant, as the ETag header of an earlier response has "
    "it. If the resource has changed since, nothing is done and the answer is 412."
)
OPTIONAL_DESCRIPTION = f"{REQUIRED_DESCRIPTION} Without it, any version is meant."


def _shown(description: str) -> Any:
    return Header(alias=HEADER, description=description, examples=['"3"', "*"])


# The parameters only document the header; a list may also come in several (section 5.3). Neither
# waits for anything, but FastAPI would call plain functions in a thread.
async def _get_if_match(
    connection: HTTPConnection,
    _: Annotated[str | SkipJsonSchema[None], _shown(REQUIRED_DESCRIPTION)] = None,
) -> Precondition:
    precondition = _precondition_of(connection)
    if precondition is None:
        raise PreconditionRequiredError(
            "The request must say which version it means: send its entity tag as If-Match."
        )
    return precondition


async def _find_if_match(
    connection: HTTPConnection,
    _: Annotated[str | SkipJsonSchema[None], _shown(OPTIONAL_DESCRIPTION)] = None,
) -> Precondition | None:
    return _precondition_of(connection)


def _precondition_of(connection: HTTPConnection) -> Precondition | None:
    values = connection.headers.getlist(HEADER)
    return Precondition.parse(", ".join(values)) if values else None


IfMatch = Annotated[Precondition, Depends(_get_if_match)]
"""What the client expects the present version to be; a request that does not say is refused (428,
RFC 6585, section 3)."""

OptionalIfMatch = Annotated[Precondition | None, Depends(_find_if_match)]
"""What the client expects the present version to be, or `None` if it does not say."""
