"""Standard output, written to so that lines stay whole and nobody waits for ever."""

import os
import select
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

_FOREVER = 86_400.0


class StandardOutput:
    """Writes lines to whatever standard output is at that moment, so that it can be redirected.

    Other processes may write to the same pipe: up to `select.PIPE_BUF` bytes are written as one
    (POSIX, `write`), so only a longer line can be torn by them.
    """

    def __init__(self) -> None:
        """Begin with a stream that is whole."""
        self._writing = threading.Lock()
        self._is_held = False
        self._is_torn = False
        self._is_stuck = False

    def write(self, lines: Sequence[str], *, patience: timedelta | None) -> bool:
        """Write the lines, and return whether all of them were taken.

        With `patience`, a reader that does not read is waited for no longer than that, once; until
        it reads again, it is not waited for at all. Without, it is waited for.
        """
        if patience is None:
            seconds = _FOREVER
        else:
            seconds = 0.0 if self._is_stuck else patience.total_seconds()
        if not self._writing.acquire(timeout=seconds):
            self._is_stuck = True
            return False
        try:
            # What was written last may end in the middle of a line.
            text = "\n".join((*lines, "") if not self._is_torn else ("", *lines, ""))
            self._write(text, until=None if patience is None else monotonic() + seconds)
        except Exception:  # noqa: BLE001 -- there is nowhere to say it: this is where it is said
            return False
        else:
            self._is_torn = self._is_stuck = False
            return True
        finally:
            self._writing.release()

    def hold(self, within: timedelta) -> None:
        """Let nobody write, from here to `release`, so that no line is half written meanwhile."""
        self._is_held = self._writing.acquire(timeout=within.total_seconds())

    def release(self) -> None:
        """Let others write again."""
        if self._is_held:
            self._is_held = False
            self._writing.release()

    def _write(self, text: str, *, until: float | None) -> None:
        stream = sys.stdout
        try:
            number = stream.fileno()
        except (AttributeError, OSError, ValueError):
            stream.write(text)
            stream.flush()
            return
        rest = text.encode("utf-8", "backslashreplace")
        is_begun = False
        try:
            while rest:
                part = rest
                if until is not None:
                    self._wait(number, until=until)
                    part = rest[: select.PIPE_BUF]
                try:
                    written = os.write(number, part)
                except BlockingIOError:
                    # Somebody has made it non-blocking, for all who share it.
                    self._wait(number, until=until)
                    continue
                rest = rest[written:]
                is_begun = True
        except OSError:
            self._is_torn = is_begun or self._is_torn
            raise

    def _wait(self, number: int, *, until: float | None) -> None:
        """Return when a write of `select.PIPE_BUF` bytes will not wait.

        Raises:
            TimeoutError: If that takes too long.
        """
        poll = select.poll()
        poll.register(number, select.POLLOUT)
        seconds = _FOREVER if until is None else max(0.0, until - monotonic())
        if not poll.poll(seconds * 1000):
            self._is_stuck = True
            raise TimeoutError
