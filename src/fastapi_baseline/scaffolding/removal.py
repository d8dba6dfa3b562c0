"""Removing a resource from a service: what was written for it, and its table.

The migration that made its table is deleted if it is the last one, was not applied and is as it was
written; else one more is written, which drops the table. Nothing that people have written is
deleted unless they say so.
"""

import re
import shutil
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.scaffolding.naming import to_snake_case
from fastapi_baseline.scaffolding.records import RECORDS, Record, digest, find_record, read_records
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.writing import without_bytecode

_VERSIONS = PurePosixPath("alembic/versions")
_CACHES = frozenset({"__pycache__", ".DS_Store"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A resource that can be removed: what would be deleted."""

    record: Record
    service: Service
    paths: Sequence[PurePosixPath]
    """The files, without migrations."""
    edited: Sequence[PurePosixPath]
    """Those of them that are not as they were written, or were written by others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What was done about the table of a resource."""

    paths: Sequence[PurePosixPath]
    """The files that were deleted, with the migration that made its table."""
    revision: PurePosixPath | None
    """The migration that was written to drop the table."""


def plan_removal(service: Service, name: str) -> Removal:
    """Return what removing a resource would delete; nothing is deleted.

    Raises:
        ConfigurationError: If it was not written by `add_resource`, or others refer to it.
    """
    record = find_record(service.root, to_snake_case(name))
    if record is None:
        known = ", ".join(item.name for item in read_records(service.root)) or "none"
        message = (
            f"No resource {name!r} was written by baseline add resource (there are: {known}); "
            f"what you have written yourself is not removed."
        )
        raise ConfigurationError(message)
    for model in service.models.values():
        if record.table in model.references and model.domain != record.plural:
            message = (
                f"{model.name} in {model.module} refers to {record.name!r}: remove that first."
            )
            raise ConfigurationError(message)
    return Removal(
        record=record,
        service=service,
        paths=_paths(record, service),
        edited=_edited(record, service),
    )


def remove_resource(
    removal: Removal, *, is_forced: bool = False, is_migrated: bool = True
) -> Removed:
    """Delete the files of a resource, and see to its table; all of it, or nothing.

    For the table, the service must be importable, and its database up to date.

    Raises:
        ConfigurationError: If a file was edited, unless it is forced, or something fails; nothing
            is deleted, then.
    """
    if removal.edited and not is_forced:
        message = (
            f"{', '.join(map(str, removal.edited))}: not as it was written; --force deletes it "
            f"all the same."
        )
        raise ConfigurationError(message)
    root = removal.service.root
    deleted: list[PurePosixPath] = []
    revision: PurePosixPath | None = None
    try:
        if is_migrated:
            revision, deleted = _see_to_table(removal)
        with _deleted(root, [*removal.paths, *deleted]):
            pass
    except (OSError, BaselineError) as error:
        if revision is not None:
            (root / revision).unlink(missing_ok=True)
        cause = error.message if isinstance(error, BaselineError) else str(error)
        message = f"{cause} Nothing was deleted; --no-migration leaves the table to you."
        raise ConfigurationError(message) from error
    _sweep(removal)
    return Removed(paths=[*removal.paths, *deleted], revision=revision)


def _paths(record: Record, service: Service) -> list[PurePosixPath]:
    """Return all files of the domain and its tests, whoever has written them."""
    root = service.root
    found = {path for path in record.files if (root / path).is_file()}
    found |= {
        PurePosixPath(path.relative_to(root).as_posix())
        for path in (service.domains_folder / record.plural).rglob("*")
        if path.is_file() and not _CACHES & set(path.parts)
    }
    return [*sorted(found), record.path]


def _edited(record: Record, service: Service) -> list[PurePosixPath]:
    paths = _paths(record, service)[:-1]
    return [
        path
        for path in paths
        if record.files.get(path) != digest((service.root / path).read_bytes())
    ]


def _see_to_table(removal: Removal) -> tuple[PurePosixPath | None, list[PurePosixPath]]:
    """Return the migration that was written to drop the table, and those that can be deleted."""
    record, root = removal.record, removal.service.root
    made_by = _find_creation(root, record.table)
    if made_by is None:
        return None, []
    from fastapi_baseline.persistence.migrations import commands  # noqa: PLC0415 -- slow

    with without_bytecode():
        if str(made_by) == record.revision:
            state = commands.current(root)
            here = (root / made_by).absolute()
            is_last = [step.path.absolute() for step in state.heads] == [here]
            is_applied = here in {step.path.absolute() for step in state.current}
            if is_last and not is_applied:
                return None, [made_by]
        written = commands.drop_revision(root, f"drop {record.plural}", record.table).path
    return PurePosixPath(written.relative_to(root.absolute()).as_posix()), []


def _find_creation(root: Path, table: str) -> PurePosixPath | None:
    """Return the migration that makes a table, unless a later one drops it."""
    change = re.compile(rf"op\.(create|drop)_table\(\s*['\"]{re.escape(table)}['\"]")
    for path in sorted((root / _VERSIONS).glob("*.py"), reverse=True):
        # What is done to take a migration back is the opposite.
        upgrade, _, _ = path.read_text(encoding="utf-8").partition("def downgrade")
        found = change.findall(upgrade)
        if found:
            return _VERSIONS / path.name if found[-1] == "create" else None
    return None


@contextmanager
def _deleted(root: Path, paths: Sequence[PurePosixPath]) -> Generator[None]:
    """Move files away, and bring them back if anything fails."""
    with TemporaryDirectory(prefix=".baseline-", dir=root) as folder:
        aside = Path(folder)
        moved: list[PurePosixPath] = []
        try:
            for path in paths:
                (aside / path).parent.mkdir(parents=True, exist_ok=True)
                (root / path).rename(aside / path)
                moved.append(path)
            yield
        except BaseException:
            for path in moved:
                (aside / path).rename(root / path)
            raise


def _sweep(removal: Removal) -> None:
    """Delete the folders that are empty now, but for caches."""
    root, service = removal.service.root, removal.service
    domain = service.domains_folder / removal.record.plural
    for folder in [*domain.rglob("*"), domain]:
        if folder.is_dir() and folder.name not in _CACHES and _is_empty(folder):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (
        root / "tests/domains",
        root / RECORDS,
        root / RECORDS.parent,
        root / _VERSIONS,
    ):
        if folder.is_dir() and _is_empty(folder):
            shutil.rmtree(folder)


def _is_empty(folder: Path) -> bool:
    return not any(
        path.is_file() and not _CACHES & set(path.relative_to(folder).parts)
        for path in folder.rglob("*")
    )
