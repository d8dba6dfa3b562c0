"""What was written for a resource, so that it can be recognised, and taken back.

It is one small file of the service for each resource, `.baseline/resources/orders.toml`. Whoever
deletes it keeps the resource, and gives up that `baseline remove resource` knows it.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.scaffolding.grammar import word_of
from fastapi_baseline.scaffolding.specification import ResourceSpecification

RECORDS = PurePosixPath(".baseline/resources")
"""Where a service has them."""

_HEADER = "# Written by `baseline add resource`, and read by `baseline remove resource`.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was written for one resource."""

    name: str
    plural: str
    table: str
    fields: tuple[str, ...]
    """Its fields, as words."""
    revision: str | None
    """The path of the migration that was written with it."""
    files: Mapping[PurePosixPath, str]
    """The SHA-256 of each file, by its path in the service."""

    @property
    def path(self) -> PurePosixPath:
        """Return where it is kept."""
        return RECORDS / f"{self.plural}.toml"

    def to_toml(self) -> str:
        """Return it as it is kept."""
        lines = [
            f"{_HEADER}name = {json.dumps(self.name)}",
            f"plural = {json.dumps(self.plural)}",
            f"table = {json.dumps(self.table)}",
            f"fields = {json.dumps(self.fields)}",
        ]
        if self.revision is not None:
            lines.append(f"revision = {json.dumps(self.revision)}")
        hashes = [f"{json.dumps(str(path))} = {json.dumps(it)}" for path, it in self.files.items()]
        return "\n".join([*lines, "", "[files]", *hashes]) + "\n"


def make_record(
    resource: ResourceSpecification, contents: Mapping[PurePosixPath, bytes], revision: str | None
) -> Record:
    """Return what there is to know of a resource whose files have these contents."""
    return Record(
        name=resource.name,
        plural=resource.plural,
        table=resource.table_name,
        fields=words_of(resource),
        revision=revision,
        files={path: digest(content) for path, content in sorted(contents.items())},
    )


def words_of(resource: ResourceSpecification) -> tuple[str, ...]:
    """Return the fields of a resource as words."""
    return tuple(word_of(field) for field in resource.fields)


def digest(content: bytes) -> str:
    """Return the SHA-256 of a content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def find_record(root: Path, name: str) -> Record | None:
    """Return what was written for a resource of a service, given what one or several are called.

    Raises:
        ConfigurationError: If a record cannot be read.
    """
    records = read_records(root)
    return next((record for record in records if name in {record.name, record.plural}), None)


def read_records(root: Path) -> Sequence[Record]:
    """Return what was written for the resources of a service.

    Raises:
        ConfigurationError: If a record cannot be read.
    """
    return [_read(path) for path in sorted((root / RECORDS).glob("*.toml"))]


def _read(path: Path) -> Record:
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        return Record(
            name=content["name"],
            plural=content["plural"],
            table=content["table"],
            fields=tuple(content["fields"]),
            revision=content.get("revision"),
            files={PurePosixPath(name): value for name, value in content["files"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path} cannot be read ({error!r}): restore it, or delete it."
        raise ConfigurationError(message) from error
