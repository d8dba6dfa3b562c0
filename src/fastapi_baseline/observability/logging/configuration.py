"""Logging of the whole process, set up in one call."""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi_baseline.observability.logging.formatters import ConsoleFormatter, JsonFormatter
from fastapi_baseline.observability.logging.levels import LogLevels
from fastapi_baseline.observability.logging.output import LineOutput
from fastapi_baseline.observability.logging.redaction import Redactor
from fastapi_baseline.settings import LogSettings

_LAST_LINES = timedelta(seconds=5)
_UVICORN_LOGGERS = ("uvicorn", "uvicorn.error")
# What uvicorn and its library for WebSockets say about each conversation, with the query, and of
# each refusal with a response that it was none: the access log has one line for it.
_CONVERSATIONS = frozenset(
    {
        '%s - "WebSocket %s" %d',
        '%s - "WebSocket %s" 403',
        '%s - "WebSocket %s" [accepted]',
        "ASGI callable returned without completing handshake.",
        "connection closed",
        "connection open",
        "connection rejected (%d %s)",
    }
)
# With `echo`, SQLAlchemy gives these a handler of its own, unless they have one.
_SQLALCHEMY_LOGGERS = (
    "sqlalchemy.engine.Engine",
    "sqlalchemy.pool.impl.AsyncAdaptedQueuePool",
    "sqlalchemy.pool.impl.NullPool",
    "sqlalchemy.pool.impl.QueuePool",
    "sqlalchemy.pool.impl.SingletonThreadPool",
    "sqlalchemy.pool.impl.StaticPool",
)


class LoggingHandle:
    """What has been set up: how much was lost, levels that can be changed, and how it ends."""

    def __init__(self, output: LineOutput, levels: LogLevels) -> None:
        """Speak for the output and the levels of a process."""
        self.levels = levels
        self._output = output

    @property
    def dropped(self) -> int:
        """Return how many lines were given up since the process has started."""
        return self._output.dropped

    def flush(self, within: timedelta) -> bool:
        """Wait until all lines from before are written; return whether they were in time."""
        return self._output.drain(within)

    def make_lifespan(
        self, *, within: timedelta = _LAST_LINES
    ) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """Return what lets lines wait in a queue while the application runs.

        Without it, each line is written at once, and a reader of standard output that stands still
        stops the service. Enter it first and leave it last: at the end, what waits is written
        `within` that time, and later lines, such as the last ones of the server, at once again.
        """

        @asynccontextmanager
        async def lifespan(_app: object) -> AsyncGenerator[None]:
            self._output.start()
            self.levels.watch()
            try:
                yield
            finally:
                # Not anyio's threads: those may all be held by handlers that hang.
                await asyncio.to_thread(self._output.finish, within)

        return lifespan


_handles: list[LoggingHandle] = []


def _start_levels_afresh() -> None:
    for handle in _handles:
        handle.levels.start_afresh()


os.register_at_fork(after_in_child=_start_levels_afresh)


def configure_logging(settings: LogSettings) -> LoggingHandle:
    """Send the records of this process to standard output, in the format of the settings.

    Calling it again replaces what it did before, changed levels too; handlers of others stay. The
    lines of uvicorn and of SQLAlchemy go the same way, except those of uvicorn about requests and
    WebSockets, which are silenced: the service writes its own.
    """
    root = logging.getLogger()
    while _handles:
        _handles.pop().levels.close()
    output = next((known for known in root.handlers if isinstance(known, LineOutput)), None)
    if output is None:
        output = LineOutput(size=settings.queue_size)
        root.addHandler(output)
    output.size = settings.queue_size
    redactor = Redactor(settings.redact)
    is_json = settings.format == "json"
    output.setFormatter(JsonFormatter(redactor) if is_json else ConsoleFormatter(redactor))
    root.setLevel(settings.level)
    _take_over_others()
    handle = LoggingHandle(output, LogLevels(file=settings.levels_file))
    _handles.append(handle)
    return handle


def _is_no_conversation(record: logging.LogRecord) -> bool:
    return not (isinstance(record.msg, str) and record.msg in _CONVERSATIONS)


def _take_over_others() -> None:
    for name in _UVICORN_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("uvicorn.error").addFilter(_is_no_conversation)
    for name in _SQLALCHEMY_LOGGERS:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
