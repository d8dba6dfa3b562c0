"""Slots: how the processes of one service count together, and leave no files behind.

The client keeps what a process has counted in files that are named by its number, so that a folder
grows with every process that was ever there. Here, a process takes the lowest slot that is free, and
its files are named by the slot: who takes a slot next goes on counting in the files of who held it
before. A slot is held by a lock that the operating system gives up with the process, whichever way
that ends.

What is true only while a process lives, such as how many requests it is answering, is removed when
its slot is found free: by whoever takes it, or by whoever collects.
"""

import fcntl
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import values

from fastapi_baseline.errors import ConfigurationError

logger = logging.getLogger(__name__)

_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_MUTEX = "folder.lock"
# No process is named like that; files of processes that hold no slot may lie beside.
_PREFIX = "slot"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldSlot:
    """A slot that a process holds, and the number of that process."""

    number: int
    pid: int


class SlotFolder:
    """The folder in which the processes of one service count together."""

    def __init__(self, path: Path) -> None:
        """Use the folder at `path`, which is made if it is not there."""
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def take(self) -> tuple[int, int]:
        """Take the lowest free slot, and return its number and the file that holds it.

        The slot is free again when that file is closed, or the process ends.
        """
        with self._mutex():
            number = 0
            while (file := self._try(number)) is None:
                number += 1
            self._remove_live_gauges(number)
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode("ascii"), 0)
        return number, file

    def tidy(self) -> list[HeldSlot]:
        """Remove what the dead have left that is true only of the living; return who lives."""
        held: list[HeldSlot] = []
        with self._mutex():
            for number in self._numbers():
                file = self._try(number)
                if file is not None:
                    self._remove_live_gauges(number)
                    os.close(file)
                    continue
                pid = self._lock_file(number).read_text(encoding="ascii")
                held.append(HeldSlot(number=number, pid=int(pid)))
        return held

    def value_files(self) -> list[str]:
        """Return the files with values; one that a process has only just made has none yet."""
        found: list[str] = []
        for path in self.path.glob("*.db"):
            try:
                if path.stat().st_size > 0:
                    found.append(str(path))
            except FileNotFoundError:
                continue
        return sorted(found)

    @contextmanager
    def _mutex(self) -> Generator[None]:
        """Wait until nobody else looks for free slots: to look at one is to hold it shortly."""
        file = os.open(self.path / _MUTEX, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def _try(self, number: int) -> int | None:
        """Return the file that holds a slot, or `None` if somebody else has it."""
        path = self._lock_file(number)
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        return file

    def _lock_file(self, number: int) -> Path:
        return self.path / f"{_name_of(number)}.lock"

    def _numbers(self) -> list[int]:
        paths = self.path.glob(f"{_PREFIX}*.lock")
        return sorted(int(path.stem.removeprefix(_PREFIX)) for path in paths)

    def _remove_live_gauges(self, number: int) -> None:
        for path in self.path.glob(f"gauge_live*_{_name_of(number)}.db"):
            path.unlink(missing_ok=True)


class _SlotHolder:
    """The slot of this process; a fork takes another one as soon as it counts anything."""

    def __init__(self, folder: SlotFolder) -> None:
        self.folder = folder
        self._number: int | None = None
        self._file = -1
        os.register_at_fork(after_in_child=self._forget)

    def identify(self) -> str:
        return _name_of(self.number())

    def number(self) -> int:
        if self._number is None:
            self._number, self._file = self.folder.take()
        return self._number

    def _forget(self) -> None:
        if self._number is not None:
            os.close(self._file)  # The parent still holds it.
            self._number = None


_holder: _SlotHolder | None = None


def activate_slots(directory: Path) -> int:
    """Let this process count together with others, in files of its slot; return the slot.

    Call it before the first metric is made: one that exists already counts for itself. To call it
    again changes nothing. The folder belongs to one service on one machine, is best held in memory,
    and is to be emptied before the first of its processes starts, and never while one runs.

    Raises:
        ConfigurationError: If the process already counts in another folder, or the folder cannot be
            written to.
    """
    global _holder  # noqa: PLW0603 -- the client, too, has one kind of value in a process
    if _holder is None:
        try:
            holder = _SlotHolder(SlotFolder(directory))
            slot = holder.number()
        except OSError as error:
            message = f"{_VARIABLE}: {directory} cannot be written to ({error.strerror})."
            raise ConfigurationError(message) from error
        # The client looks for its folder there, and nowhere else.
        os.environ[_VARIABLE] = str(directory)  # noqa: TID251
        values.ValueClass = values.MultiProcessValue(holder.identify)  # pyright: ignore[reportUnknownMemberType] -- it has no types
        _holder = holder
        _warn_of_early_metrics(holder.folder)
        return slot
    if _holder.folder.path != directory:
        message = f"{_VARIABLE}: this process already counts in {_holder.folder.path}."
        raise ConfigurationError(message)
    return _holder.number()


def _warn_of_early_metrics(folder: SlotFolder) -> None:
    if any(folder.path.glob(f"*_{os.getpid()}.db")):
        logger.warning(
            "Metrics were made before the application. They count in files of this process, which "
            "stay behind when it ends: make them with OpenTelemetry, or after the application."
        )


def _name_of(number: int) -> str:
    return f"{_PREFIX}{number}"


def find_slot_folder() -> SlotFolder | None:
    """Return where the processes of this service count together, or `None` if they do not."""
    return None if _holder is None else _holder.folder


def is_counting_together() -> bool:
    """Return whether this process counts together with others."""
    return _holder is not None
