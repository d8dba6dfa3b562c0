"""Adding a resource to a service: all of its files, or none.

They are made in a folder of their own next to their places, and moved when all are there. What has
been moved is taken back if anything fails, the migration included.
"""

import importlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.scaffolding.naming import check_names
from fastapi_baseline.scaffolding.records import find_record, make_record, words_of
from fastapi_baseline.scaffolding.rendering import find_overrides, render_resource
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.specification import ResourceSpecification

_CREATED = re.compile(r"op\.create_table\(\s*['\"](?P<table>[^'\"]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A resource that can be added: what would be written, and where."""

    resource: ResourceSpecification
    service: Service
    files: Mapping[PurePosixPath, str]
    """The files, unformatted, by their paths in the service; none if it is there already."""
    is_migrated: bool
    """Whether a migration is to be written, too."""

    @property
    def is_done(self) -> bool:
        """Return whether it was added before, just so."""
        return not self.files


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What was written for a resource."""

    paths: Sequence[PurePosixPath]
    """The files, without the migration."""
    revision: PurePosixPath | None
    """The migration."""
    other_tables: Sequence[str]
    """The tables that the migration makes besides: those of models that had none yet."""


def plan_addition(
    resource: ResourceSpecification,
    service: Service,
    *,
    overrides: Sequence[Path] | None = None,
    is_migrated: bool = True,
) -> Addition:
    """Return what adding a resource would write; nothing is written.

    `overrides` are folders with templates, by default the service's own. A table that exists
    already needs no migration.

    Raises:
        ConfigurationError: If a name is taken, a file is there already, or the service has no
            database.
    """
    if not service.has_database:
        message = f"The service in {service.root} has no database: there is no alembic/."
        raise ConfigurationError(message)
    is_migrated = is_migrated and resource.table is None
    if _is_there(resource, service):
        files: Mapping[PurePosixPath, str] = {}
    else:
        check_names(resource, service)
        folders = find_overrides(service) if overrides is None else overrides
        files = render_resource(resource, service, overrides=folders)
        for path in files:
            if (service.root / path).exists():
                raise ConfigurationError(f"{path} is there already, and is not overwritten.")
    return Addition(resource=resource, service=service, files=files, is_migrated=is_migrated)


def add_resource(addition: Addition) -> Added:
    """Write the files of a resource, and its migration; all of them, or nothing.

    With a migration, the service must be importable, and its database up to date.

    Raises:
        ConfigurationError: If something cannot be written; nothing is, then.
    """
    root, resource = addition.service.root, addition.resource
    try:
        with _written(addition) as undo:
            revision = None
            if addition.is_migrated:
                revision = _migrate(addition, undo)
            contents = {path: (root / path).read_bytes() for path in addition.files}
            record = make_record(resource, contents, str(revision) if revision else None)
            undo.make_folder(root / record.path.parent)
            undo.created.append(root / record.path)
            (root / record.path).write_text(record.to_toml(), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"Nothing was written. {error}") from error
    created = _CREATED.findall((root / revision).read_text(encoding="utf-8")) if revision else []
    return Added(
        paths=[*sorted(addition.files), record.path],
        revision=revision,
        other_tables=sorted(set(created) - {resource.table_name}),
    )


class Undo:
    """What was made so far, and how it is taken back."""

    def __init__(self) -> None:
        self.created: list[Path] = []

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it that are missing, and remember them."""
        for parent in reversed([folder, *folder.parents]):
            if not parent.exists():
                parent.mkdir()
                self.created.append(parent)

    def run(self) -> None:
        """Take everything back, the last first."""
        for path in reversed(self.created):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


@contextmanager
def without_bytecode() -> Generator[None]:
    """Import modules without leaving `__pycache__` behind: what was not there is not there after.

    Modules that have just been written are found.
    """
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def _is_there(resource: ResourceSpecification, service: Service) -> bool:
    """Return whether a resource was added before, just so.

    Raises:
        ConfigurationError: If one of its name was, with other fields.
    """
    record = find_record(service.root, resource.plural)
    if record is None:
        return False
    was = (record.name, record.plural, record.table, record.fields)
    if was != (resource.name, resource.plural, resource.table_name, words_of(resource)):
        message = (
            f"There is a resource {record.name!r} already, with {' '.join(record.fields)}: edit "
            f"its files, or remove it first: baseline remove resource {record.name}"
        )
        raise ConfigurationError(message)
    missing = [path for path in record.files if not (service.root / path).is_file()]
    if missing:
        message = (
            f"{missing[0]} was written for {record.name!r} and is missing: restore it, or remove "
            f"the rest: baseline remove resource {record.name}"
        )
        raise ConfigurationError(message)
    return True


@contextmanager
def stage(files: Mapping[PurePosixPath, str], service: Service) -> Generator[Path]:
    """Yield a folder of the service with files as they will be, formatted; it is gone after."""
    # On the same file system as their places, so that moving them is no copying.
    with TemporaryDirectory(prefix=".baseline-", dir=service.root) as folder:
        staged = Path(folder)
        # Ruff asks the packages around a module which imports are the service's own.
        package = staged / service.domains_folder.relative_to(service.root)
        package.mkdir(parents=True)
        for parent in (package, package.parent):
            (parent / "__init__.py").touch()
        for path, text in files.items():
            (staged / path).parent.mkdir(parents=True, exist_ok=True)
            (staged / path).write_text(text, encoding="utf-8", newline="\n")
        _format(staged)
        yield staged


@contextmanager
def place(staged: Path, root: Path, paths: Iterable[PurePosixPath]) -> Generator[Undo]:
    """Give staged files their places in a service, and take them back if the block fails."""
    undo = Undo()
    try:
        for path in paths:
            undo.make_folder((root / path).parent)
            _place(staged / path, root / path)
            undo.created.append(root / path)
        yield undo
    except BaseException:
        undo.run()
        raise


@contextmanager
def _written(addition: Addition) -> Generator[Undo]:
    """Write the files, and take them back if the block fails."""
    root = addition.service.root
    with (
        stage(addition.files, addition.service) as staged,
        place(staged, root, addition.files) as undo,
    ):
        yield undo


def _place(source: Path, target: Path) -> None:
    """Give a file its place; unlike a rename, it fails if there is a file by now."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Not every file system has links.
        with target.open("xb") as file:
            try:
                file.write(source.read_bytes())
            except OSError:
                target.unlink()
                raise


def _migrate(addition: Addition, undo: Undo) -> PurePosixPath:
    from fastapi_baseline.persistence.migrations import commands  # noqa: PLC0415 -- slow

    root = addition.service.root
    undo.make_folder(root / "alembic" / "versions")
    before = set((root / "alembic" / "versions").glob("*.py"))
    try:
        with without_bytecode():
            written = commands.revision(root, f"create {addition.resource.plural}").path
    except BaselineError as error:
        message = f"{error.message} Nothing was written; --no-migration leaves the migration out."
        raise ConfigurationError(message) from error
    finally:
        undo.created.extend(set((root / "alembic" / "versions").glob("*.py")) - before)
    return PurePosixPath(written.relative_to(root.absolute()).as_posix())


def _format(folder: Path) -> None:
    """Format files as the service's own Ruff would, if it has one."""
    if find_spec("ruff") is None:
        return
    for arguments in (["check", "--select", "I", "--fix", "--exit-zero"], ["format"]):
        subprocess.run(  # noqa: S603 -- our own interpreter, and a folder that we made
            [sys.executable, "-m", "ruff", *arguments, "--quiet", "--no-cache", str(folder)],
            check=False,
            capture_output=True,
            cwd=folder,
        )
