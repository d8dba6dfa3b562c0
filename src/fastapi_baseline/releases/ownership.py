"""Whom each file of a service belongs to: the template, its user, or both.

The lists are those of `ownership.toml`, which is shipped next to the template.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError

with optional("pathspec", extra="cli"):
    from pathspec import GitIgnoreSpec

_PACKAGE = Path(__file__).parents[1]


class Owner(StrEnum):
    """Whose a file of a service is."""

    TEMPLATE = "template"
    """Not for editing: an update brings its next version."""
    SEAM = "seam"
    """Small and shared: both sides edit it, and an update merges."""
    YOURS = "yours"
    """The user's: an update neither touches it nor brings it back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """Which files each owner has."""

    specifications: Mapping[Owner, GitIgnoreSpec]

    def owner_of(self, path: str) -> Owner:
        """Return whose a file is; `path` is relative to the root of the service, with slashes.

        What no pattern names is the user's.
        """
        return next(iter(self.claims_of(path)), Owner.YOURS)

    def claims_of(self, path: str) -> Sequence[Owner]:
        """Return every owner that has a pattern for a file: one, if the template knows it."""
        return [owner for owner, files in self.specifications.items() if files.match_file(path)]


def read_ownership(path: Path | None = None) -> Ownership:
    """Return whose the files of services are, by default as this version of the library says.

    Raises:
        ConfigurationError: If the lists are missing, or cannot be read.
    """
    path = path or _shipped()
    try:
        lists: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        specifications = {
            owner: GitIgnoreSpec.from_lines(lists[owner.value]["files"]) for owner in Owner
        }
    # A file that is not UTF-8 or not TOML, and a pattern that is none, are errors of values.
    except (OSError, KeyError, TypeError, ValueError) as error:
        message = f"{path} cannot be read: install fastapi-baseline again. {error}"
        raise ConfigurationError(message) from error
    return Ownership(specifications=specifications)


def _shipped() -> Path:
    """Return the file of the wheel, or of the checkout that this runs in."""
    shipped = _PACKAGE / "_template" / "ownership.toml"
    return shipped if shipped.is_file() else _PACKAGE.parents[1] / "ownership.toml"
