"""Checks of what every service has; those of databases and the like come with them."""

import asyncio
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

from fastapi_baseline.errors import UnavailableError


class DiskFullError(UnavailableError):
    """A file system has too little room left."""

    code = "disk_full"
    default_message = "The file system has too little room left."


class EventLoopLagError(UnavailableError):
    """The event loop is held up."""

    code = "event_loop_lag"
    default_message = "The event loop is held up."


class DiskSpaceCheck:
    """Fails when the file system of a path has less than `minimum_free_bytes` left.

    It asks in a thread, and not again while a file system that hangs has not answered.
    """

    def __init__(
        self, path: Path | str, *, minimum_free_bytes: int, name: str = "disk_space"
    ) -> None:
        """Ask for the file system that `path` lies in; several checks need several names."""
        self.name = name
        self._path = path
        self._minimum_free_bytes = minimum_free_bytes
        self._answer: asyncio.Future[int] | None = None

    async def check(self) -> None:
        """Return if there is enough room.

        Raises:
            DiskFullError: If there is not.
            OSError: If the path does not exist, or cannot be asked.
        """
        if self._answer is None or self._answer.done():
            loop = asyncio.get_running_loop()
            self._answer = loop.run_in_executor(None, self._free_bytes)
        if await asyncio.shield(self._answer) < self._minimum_free_bytes:
            raise DiskFullError

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._path).free


class EventLoopLagCheck:
    """Fails when what is due on the event loop has to wait longer than `maximum`.

    It is local, so it may decide about liveness, but seldom should: a process that is busy is not
    broken, and starting it again makes others busier.
    """

    def __init__(
        self, lag: Callable[[], timedelta], *, maximum: timedelta, name: str = "event_loop"
    ) -> None:
        """Ask `lag` for how late the loop was last."""
        self.name = name
        self._lag = lag
        self._maximum = maximum

    @property
    def is_local(self) -> Literal[True]:
        """Return `True`: it asks a number."""
        return True

    async def check(self) -> None:
        """Return if the loop is in time.

        Raises:
            EventLoopLagError: If it is not.
        """
        if self._lag() > self._maximum:
            raise EventLoopLagError
