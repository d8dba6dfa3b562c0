"""Changed levels in a file, from which the worker processes of a service learn them."""

import contextlib
import fcntl
import logging
import os
from collections.abc import Generator, Mapping
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from fastapi_baseline.settings import LogLevel

logger = logging.getLogger(__name__)


class Override(BaseModel, frozen=True, extra="forbid"):
    """The level that a logger has instead of its own, and when that ends."""

    level: LogLevel
    until: AwareDatetime | None = None


_overrides = TypeAdapter(dict[str, Override])


class SharedLevels:
    """A file of changed levels; it is replaced as a whole, so that nobody reads half of it."""

    def __init__(self, path: Path) -> None:
        """Keep the levels in `path`, whose folder has to exist."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Return whether the file is another one than at the last `read`."""
        return self._signature() != self._seen

    def read(self) -> dict[str, Override]:
        """Return what the file says; none if it is missing or cannot be understood."""
        self._seen = self._signature()
        try:
            return _overrides.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValidationError):
            logger.warning("The shared levels cannot be read", exc_info=True)
            return {}

    def write(self, overrides: Mapping[str, Override]) -> None:
        """Replace what the file says.

        Raises:
            OSError: If it cannot be written.
        """
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        new.touch(mode=0o600)
        new.write_bytes(_overrides.dump_json(dict(overrides)))
        new.replace(self._path)
        self._seen = self._signature()

    @contextlib.contextmanager
    def locked(self) -> Generator[None]:
        """Keep other processes from changing the file meanwhile.

        Raises:
            OSError: If the file cannot be made.
        """
        with self._path.with_name(f"{self._path.name}.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
