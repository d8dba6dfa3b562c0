"""A bounded queue of lines, and the thread that writes them."""

import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta

from fastapi_baseline.observability.logging.standard_output import StandardOutput

PATIENCE = timedelta(seconds=1)
"""How long a caller waits for a reader of standard output that stands still."""

# How long lines are gathered under load: each time the thread wakes, it takes the interpreter.
_GATHERING_SECONDS = 0.01


class LineQueue:
    """Writes lines on the calling thread until it is started, and from a thread of its own then.

    Lines may be put by any number of threads, and by handlers of signals.
    """

    def __init__(self, stream: StandardOutput, *, describe_loss: Callable[[int, int], str]) -> None:
        """Write to `stream`; `describe_loss` makes a line of how many are lost, now and in total."""
        self.stream = stream
        self.dropped = 0
        self._describe_loss = describe_loss
        self._described = 0
        self._lines: deque[str | threading.Event] = deque()
        self._users = 0
        self._thread: threading.Thread | None = None
        self._is_asleep = False
        # Released to wake the thread: unlike an event, it can be in the middle of anything.
        self._news = threading.Lock()
        self._news.acquire()
        self._switch = threading.RLock()
        self._counting = threading.RLock()

    @property
    def is_started(self) -> bool:
        """Return whether lines wait for the thread instead of being written at once."""
        return self._users > 0

    def put(self, line: str, *, limit: float) -> None:
        """Write a line, or let it wait, unless `limit` lines already do."""
        if not self._users:
            self._write([line], patience=PATIENCE)
        elif len(self._lines) >= limit:
            self._count_dropped(1)
        else:
            self._lines.append(line)
            if self._is_asleep:
                self._wake()

    def start(self) -> None:
        """Let lines wait for a thread, until `finish` has been called as often as this."""
        with self._switch:
            self._users += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
                self._thread.start()

    def finish(self, within: timedelta) -> bool:
        """Write what waits, and at once from now on; return whether all was written in time."""
        is_written = self.drain(within)
        with self._switch:
            self._users = max(0, self._users - 1)
            if not self._users and is_written:
                # Otherwise the thread waits for a reader: a second one could do no better.
                self._thread = None
                self._wake()
        return is_written

    def drain(self, within: timedelta) -> bool:
        """Wait until all lines from before are written; return whether they were in time."""
        if self._thread is None:
            self._write_waiting(patience=within)
            return True
        written = threading.Event()
        self._lines.append(written)
        self._wake()
        return written.wait(within.total_seconds())

    def _wake(self) -> None:
        self._is_asleep = False
        with suppress(RuntimeError):  # It is awake already.
            self._news.release()

    def _run(self) -> None:
        me = threading.current_thread()
        while self._thread is me:
            if self._lines:
                if self._write_waiting(patience=None):
                    self._tell_loss()
                self._news.acquire(timeout=_GATHERING_SECONDS)
            else:
                self._is_asleep = True
                # What came between these two lines has not woken anybody.
                if not self._lines:
                    self._news.acquire()
                self._is_asleep = False
        self._write_waiting(patience=None)

    def _write_waiting(self, *, patience: timedelta | None) -> bool:
        """Write what waits, in groups that other processes cannot write into."""
        is_well = True
        group: list[str] = []
        size = 0
        while self._lines:
            try:
                item = self._lines.popleft()
            except IndexError:  # Another thread was faster.
                break
            is_line = isinstance(item, str)
            if group and (not is_line or size + len(item) >= select.PIPE_BUF):
                is_well = self._write(group, patience=patience)
                group, size = [], 0
            if is_line:
                group.append(item)
                size += len(item) + 1
            else:
                item.set()
        return self._write(group, patience=patience) if group else is_well

    def _write(self, lines: Sequence[str], *, patience: timedelta | None) -> bool:
        is_written = self.stream.write(lines, patience=patience)
        if not is_written:
            self._count_dropped(len(lines))
        return is_written

    def _count_dropped(self, number: int) -> None:
        with self._counting:
            self.dropped += number

    def _tell_loss(self) -> None:
        total = self.dropped
        lost, self._described = total - self._described, total
        if lost:
            self.stream.write([self._describe_loss(lost, total)], patience=None)
