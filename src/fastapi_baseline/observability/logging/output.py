"""Records on their way to standard output."""

import logging
import os
import weakref
from datetime import timedelta
from typing import cast

from fastapi_baseline.observability.logging.line_queue import PATIENCE, LineQueue
from fastapi_baseline.observability.logging.standard_output import StandardOutput

logger = logging.getLogger(__name__)

# Lines from WARNING on may fill the whole queue, others this part of it.
_PART_FOR_ALL = 0.9


class LineOutput(logging.Handler):
    """Writes lines at once until a service starts, then from a thread, and at once when it ends.

    From `start` to `finish`, lines wait in a queue, so that a reader of standard output that stands
    still cannot stop the service. A line that finds the queue full, or cannot be written, is given
    up and counted in `dropped`; when there is room again, a line says how many were lost.
    """

    def __init__(self, *, size: int, stream: StandardOutput | None = None) -> None:
        """Let at most `size` lines wait."""
        super().__init__()
        self.size = size
        self.stream = stream or StandardOutput()
        self._queue = LineQueue(self.stream, describe_loss=self._describe_loss)
        _outputs.add(self)

    @property
    def dropped(self) -> int:
        """Return how many lines were given up in this process."""
        return self._queue.dropped

    @property
    def is_queueing(self) -> bool:
        """Return whether lines wait for a thread instead of being written at once."""
        return self._queue.is_started

    def handle(self, record: logging.LogRecord) -> bool:
        """Format on the calling thread, without the lock that the standard library takes for it."""
        found = cast("bool | logging.LogRecord", self.filter(record)) if self.filters else True
        if found:
            self.emit(found if isinstance(found, logging.LogRecord) else record)
        return bool(found)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or let it wait; never fail."""
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001 -- a formatter of somebody else
            self.handleError(record)
            return
        is_important = record.levelno >= logging.WARNING
        self._queue.put(line, limit=self.size if is_important else self.size * _PART_FOR_ALL)

    def start(self) -> None:
        """Let lines wait for a thread, until `finish` has been called as often as this."""
        self._queue.start()

    def finish(self, within: timedelta) -> bool:
        """Write what waits, and at once from now on; return whether all was written in time."""
        return self._queue.finish(within)

    def drain(self, within: timedelta) -> bool:
        """Wait until all lines from before are written; return whether they were in time."""
        return self._queue.drain(within)

    def flush(self) -> None:
        """Write what waits; the standard library asks for it when the process ends."""
        self._queue.drain(PATIENCE)

    def start_afresh(self) -> None:
        """Forget what waits, and all that another thread may hold, in a process that was copied."""
        self.stream = StandardOutput()
        self._queue = LineQueue(self.stream, describe_loss=self._describe_loss)

    def _describe_loss(self, lost: int, total: int) -> str:
        fields = {"fields": {"lost": lost, "lost_in_total": total}}
        message = "Log lines were lost"
        record = logger.makeRecord(
            logger.name, logging.WARNING, __file__, 0, message, (), None, extra=fields
        )
        return self.format(record)


_outputs: weakref.WeakSet[LineOutput] = weakref.WeakSet()


def _hold_all() -> None:
    for output in _outputs:
        output.stream.hold(PATIENCE)


def _release_all() -> None:
    for output in _outputs:
        output.stream.release()


def _start_all_afresh() -> None:
    for output in _outputs:
        # The parent writes what waits, and the thread was not copied.
        output.start_afresh()


os.register_at_fork(
    before=_hold_all, after_in_parent=_release_all, after_in_child=_start_all_afresh
)
