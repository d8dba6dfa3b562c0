"""Generators that other packages bring: each is one more `baseline add KIND`.

A package names them in its entry points, in the group `fastapi_baseline.generators`. A generator
says which files there should be; writing them, all or none, is done here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePosixPath
from typing import Any, Protocol, runtime_checkable

from fastapi_baseline.errors import BaselineError, ConfigurationError
from fastapi_baseline.scaffolding.service import Service
from fastapi_baseline.scaffolding.writing import place, stage

GROUP = "fastapi_baseline.generators"
"""The group of entry points that generators are found in."""


@runtime_checkable
class Generator(Protocol):
    """What makes files of one kind. Implement it, and name it in an entry point, to add a kind."""

    @property
    def help(self) -> str:
        """Return what it makes and which arguments it takes, for `baseline add KIND --help`."""
        ...

    def plan(self, arguments: Sequence[str], service: Service) -> Mapping[PurePosixPath, str]:
        """Return the files there should be, by their paths in the service; write nothing.

        The same arguments give the same files, so that a second call has nothing to do. Python is
        formatted afterwards, as the service formats its own.

        Raises:
            ConfigurationError: If the arguments make no sense, in one sentence for whoever called.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledGenerator:
    """A generator that is installed, and not imported yet."""

    name: str
    """What comes after `baseline add`."""
    origin: str
    """The package that brings it, with its version."""
    entry_point: EntryPoint

    def load(self) -> Generator:
        """Import it.

        Raises:
            ConfigurationError: If that fails, or it is no generator.
        """
        try:
            found: Any = self.entry_point.load()
            generator: object = found() if isinstance(found, type) else found
        except Exception as error:
            message = (
                f"The generator {self.name!r} of {self.origin} cannot be loaded. "
                f"{type(error).__name__}: {error}"
            )
            raise ConfigurationError(message) from error
        if not isinstance(generator, Generator):
            message = (
                f"{self.entry_point.value}, which {self.origin} brings for {self.name!r}, is no "
                f"generator: it has no `help`, or no `plan`."
            )
            raise ConfigurationError(message)
        return generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a generator would write, and what is there already."""

    service: Service
    files: Mapping[PurePosixPath, str]
    """All files that there should be."""
    missing: Sequence[PurePosixPath]
    """Those of them that would be written."""


def find_generators() -> Mapping[str, InstalledGenerator]:
    """Return the generators that are installed, by their names; none of them is imported.

    Raises:
        ConfigurationError: If two packages bring one of the same name.
    """
    found: dict[str, InstalledGenerator] = {}
    for entry_point in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        name, brought = entry_point.name, entry_point.dist
        origin = f"{brought.name} {brought.version}" if brought else "a package"
        if name in found and found[name].entry_point != entry_point:
            message = f"Both {found[name].origin} and {origin} bring a generator {name!r}."
            raise ConfigurationError(message)
        found[name] = InstalledGenerator(name=name, origin=origin, entry_point=entry_point)
    return found


def plan_generation(
    generator: InstalledGenerator, arguments: Sequence[str], service: Service
) -> Generation:
    """Return what a generator would write; nothing is written.

    Raises:
        ConfigurationError: If it refuses or fails, or a file is there with something else in it.
    """
    try:
        files = dict(generator.load().plan(arguments, service))
    except BaselineError:
        raise
    except Exception as error:
        message = (
            f"The generator {generator.name!r} of {generator.origin} failed. "
            f"{type(error).__name__}: {error}"
        )
        raise ConfigurationError(message) from error
    for path in files:
        _require_inside(path, generator)
    missing: list[PurePosixPath] = []
    try:
        with stage(files, service) as staged:
            for path in files:
                target = service.root / path
                if not target.exists():
                    missing.append(path)
                elif not target.is_file() or target.read_bytes() != (staged / path).read_bytes():
                    message = f"{path} is there already, with something else, and is kept."
                    raise ConfigurationError(message)
    except OSError as error:
        raise ConfigurationError(f"Nothing was written. {error}") from error
    return Generation(service=service, files=files, missing=sorted(missing))


def carry_out(generation: Generation) -> Sequence[PurePosixPath]:
    """Write the files that are missing, all or none, and return their paths.

    Raises:
        ConfigurationError: If one cannot be written; none is, then.
    """
    service = generation.service
    try:
        with (
            stage(generation.files, service) as staged,
            place(staged, service.root, generation.missing),
        ):
            return generation.missing
    except OSError as error:
        raise ConfigurationError(f"Nothing was written. {error}") from error


def _require_inside(path: PurePosixPath, generator: InstalledGenerator) -> None:
    if path.is_absolute() or ".." in path.parts or not path.parts or path.parts[0] == ".git":
        message = (
            f"The generator {generator.name!r} of {generator.origin} would write {path}, which is "
            f"no file of the service."
        )
        raise ConfigurationError(message)
