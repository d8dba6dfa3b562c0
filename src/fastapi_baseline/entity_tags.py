"""Entity tags, and the lists of them in If-Match and If-None-Match (RFC 9110, section 8.8.3)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from fastapi_baseline.errors import InvalidRequestError

MAX_ENTITY_TAGS = 100
"""More than any client has reason to send."""

# Servers decode what is beyond ASCII as Latin-1.
_TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_BETWEEN_COMMAS = re.compile(r'(?:"[^"]*"|[^,"])+')


class InvalidEntityTagError(InvalidRequestError):
    """What should be an entity tag, or a list of them, is not."""

    code = "invalid_entity_tag"
    default_message = f'Want "*", or a list of at most {MAX_ENTITY_TAGS} entity tags such as "3".'


@dataclass(frozen=True, slots=True)
class EntityTag:
    """What tells one representation of a resource from the others; `str()` writes it with quotes.

    A strong tag changes with every byte, a weak one (`W/"..."`) only when the meaning does.
    """

    opaque: str
    weak: bool = False

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return the tag that an ETag header holds.

        Raises:
            InvalidEntityTagError: If it is not written as RFC 9110 says, in quotes for one.
        """
        match = _TAG.fullmatch(value.strip(" \t"))
        if match is None:
            raise InvalidEntityTagError
        return cls(match[2], weak=match[1] is not None)

    def __str__(self) -> str:
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The tags of which a client says that one, or that none, is the present one.

    `tags` is `None` for `*`, which stands for whatever there is.
    """

    tags: tuple[EntityTag, ...] | None

    @classmethod
    def parse(cls, value: str) -> Self:
        """Return what an If-Match or If-None-Match header holds; several are joined by commas.

        Raises:
            InvalidEntityTagError: If it holds nothing that RFC 9110 allows, or more than
                `MAX_ENTITY_TAGS`.
        """
        if value.strip(" \t") == "*":
            return cls(None)
        written = [tag for part in _split(value) if (tag := part.strip(" \t"))]
        if not written or len(written) > MAX_ENTITY_TAGS:
            raise InvalidEntityTagError
        return cls(tuple(EntityTag.parse(tag) for tag in written))

    def has_strong(self, tag: EntityTag | None) -> bool:
        """Return whether one of them is `tag` by strong comparison: a weak tag equals none.

        `None` is a representation that has no tag.
        """
        return self.tags is None or (tag is not None and not tag.weak and tag in self.tags)

    def has_weak(self, tag: EntityTag | None) -> bool:
        """Return whether one of them is `tag` by weak comparison: weakness makes no difference.

        `None` is a representation that has no tag.
        """
        if self.tags is None or tag is None:
            return self.tags is None
        return any(tag.opaque == one.opaque for one in self.tags)

    def __str__(self) -> str:
        return "*" if self.tags is None else ", ".join(map(str, self.tags))


def _split(value: str) -> Iterable[str]:
    """Return what stands between commas; one inside of quotes belongs to its tag."""
    return _BETWEEN_COMMAS.findall(value) if value.count('"') % 2 == 0 else [value]
