"""Several processes that serve one application, below a parent that ends when they have ended."""

import os
import signal
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Any

from fastapi_baseline._extras import optional
from fastapi_baseline.clock import Clock, SystemClock

with optional("uvicorn", extra="server"):
    from uvicorn import Config
    from uvicorn.config import STARTUP_FAILURE
    from uvicorn.supervisors import Multiprocess

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
LEVELS_VARIABLE = "LOG__LEVELS_FILE"

# What a worker and its server need beyond their budget, before they count as lost.
_SLACK = timedelta(seconds=3)
_TICK_S = 0.1
_STOPS = {signal.SIGINT, signal.SIGTERM}


def serve_with_workers(
    app: str, arguments: Mapping[str, Any], *, limit: timedelta, is_measured: bool
) -> None:
    """Serve an application with several processes, until this one is told to stop.

    If it `is_measured`, the processes count together, in a folder that is empty at first.
    `arguments` are those of uvicorn.
    """
    config = Config(app, **arguments)
    with shared_levels(), shared_metrics() if is_measured else without_shared_metrics():
        workers = Workers(config, [config.bind_socket()], limit=limit)
        workers.run()
    if workers.has_failed:
        sys.exit(STARTUP_FAILURE)


@contextmanager
def shared_metrics() -> Generator[Path]:
    """Give processes that are started in the block a folder in which they count together.

    It is the one that `PROMETHEUS_MULTIPROC_DIR` names, emptied of former counts, or else one that
    lasts as long as the block.
    """
    named = os.environ.get(METRICS_VARIABLE)  # noqa: TID251 -- the name that Prometheus has for it
    if named:
        folder = Path(named)
        folder.mkdir(parents=True, exist_ok=True)
        for counts in folder.glob("*.db"):
            counts.unlink(missing_ok=True)
        yield folder
        return
    with TemporaryDirectory(prefix="baseline-metrics-") as made:
        os.environ[METRICS_VARIABLE] = made  # noqa: TID251 -- handed on to the workers
        try:
            yield Path(made)
        finally:
            del os.environ[METRICS_VARIABLE]  # noqa: TID251 -- as it was


@contextmanager
def shared_levels() -> Generator[None]:
    """Give processes that are started in the block a file through which they share log levels.

    It is the one that `LOG__LEVELS_FILE` names, or else one that lasts as long as the block.
    """
    if os.environ.get(LEVELS_VARIABLE):  # noqa: TID251 -- the operator has named one
        yield
        return
    with TemporaryDirectory(prefix="baseline-levels-") as made:
        os.environ[LEVELS_VARIABLE] = str(Path(made) / "levels.json")  # noqa: TID251 -- handed on
        try:
            yield
        finally:
            del os.environ[LEVELS_VARIABLE]  # noqa: TID251 -- as it was


@contextmanager
def without_shared_metrics() -> Generator[None]:
    """Let what is imported in the block count for this process alone: it only watches others."""
    named = os.environ.pop(METRICS_VARIABLE, None)  # noqa: TID251 -- see above
    try:
        yield
    finally:
        if named is not None:
            os.environ[METRICS_VARIABLE] = named  # noqa: TID251 -- as it was


class Workers(Multiprocess):
    """The parent of several processes, which stops as a single one does.

    That of uvicorn keeps the listening socket open while its workers close theirs, so that clients
    connect to nobody; waits for ever for a worker that hangs; and hears no second signal.
    """

    def __init__(
        self,
        config: Config,
        sockets: list[socket],
        *,
        limit: timedelta,
        clock: Clock | None = None,
    ) -> None:
        """Give workers `limit` to end after they were told to, and then end them."""
        super().__init__(config, sockets)
        self._limit_s = (limit + _SLACK).total_seconds()
        self._clock = clock or SystemClock()
        self._is_forced = False

    @property
    def has_failed(self) -> bool:
        """Return whether a worker could not start."""
        return any(worker.exitcode == STARTUP_FAILURE for worker in self.processes)

    def handle_int(self) -> None:
        """Stop, or end at once if that was said before."""
        self._is_forced = self.should_exit.is_set()
        super().handle_int()

    def handle_term(self) -> None:
        """Stop, or end at once if that was said before."""
        self._is_forced = self.should_exit.is_set()
        super().handle_term()

    def join_all(self) -> None:
        """Wait for the workers, which have been told to stop."""
        for listener in self.sockets:
            # The last of the workers that closes it ends it: nobody connects to nobody.
            listener.close()
        ends_at = self._clock.monotonic() + self._limit_s
        while alive := [worker for worker in self.processes if worker.process.is_alive()]:
            if self._is_told_again() or self._clock.monotonic() > ends_at:
                for worker in alive:
                    worker.process.kill()
            wait([worker.process.sentinel for worker in alive], timeout=_TICK_S)
        super().join_all()

    def _is_told_again(self) -> bool:
        return self._is_forced or any(number in _STOPS for number in self.signal_queue)
