"""Levels of loggers that are changed while the service runs, and change back by themselves."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import NotFoundError
from fastapi_baseline.observability.logging.shared_levels import Override, SharedLevels
from fastapi_baseline.settings import LogLevel

logger = logging.getLogger(__name__)

ROOT = "root"
_POLL_SECONDS = 1.0


class UnknownLoggerError(NotFoundError):
    """Nothing in the service logs under that name."""

    code = "unknown_logger"
    default_message = "There is no such logger."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggerLevel:
    """How much a logger writes.

    `level` is its own, or `None` if it follows the logger above; `until` is when a change ends, or
    `None` if it does not end by itself, or there is none.
    """

    name: str
    level: str | None
    effective: str
    is_changed: bool = False
    until: datetime | None = None


class LogLevels:
    """Changes the levels of loggers, for a time or until the process ends.

    With a `file`, all processes that are given it follow each other within a second. Everything
    here may be called from any thread.
    """

    def __init__(self, *, file: Path | None = None, clock: Clock | None = None) -> None:
        """Share changes through `file`, if there is one."""
        self._clock = clock or SystemClock()
        self._shared = SharedLevels(file) if file is not None else None
        self._overrides: dict[str, Override] = {}
        self._originals: dict[str, int] = {}
        self.start_afresh()

    def find_all(self) -> list[LoggerLevel]:
        """Return the root logger and all others that exist, by name."""
        names = [
            name
            for name, found in logging.root.manager.loggerDict.copy().items()
            if isinstance(found, logging.Logger)
        ]
        return [self._describe(name) for name in (ROOT, *sorted(names))]

    def get(self, name: str) -> LoggerLevel:
        """Return how much a logger writes.

        Raises:
            UnknownLoggerError: If there is no such logger.
        """
        _require(name)
        return self._describe(name)

    def set(self, name: str, level: LogLevel, *, for_: timedelta | None = None) -> LoggerLevel:
        """Change the level of a logger and of those that follow it, and return what it is now.

        After `for_`, it is what it was before. Without, it stays until `reset`.

        Raises:
            UnknownLoggerError: If there is no such logger.
            ValueError: If `for_` is not a positive duration.
        """
        _require(name)
        if for_ is not None and for_ <= timedelta(0):
            raise ValueError(f"A level is changed for a positive time, and not for {for_}.")
        until = self._clock.now() + for_ if for_ is not None else None
        self._change(name, Override(level=level, until=until))
        logger.warning("The level of %s is %s now", name, level, extra=_fields(until))
        self.watch()
        return self._describe(name)

    def reset(self, name: str) -> LoggerLevel:
        """Give a logger the level that it had before it was changed, and return it.

        Raises:
            UnknownLoggerError: If there is no such logger.
        """
        _require(name)
        self._change(name, None)
        logger.warning("The level of %s is what it was", name)
        return self._describe(name)

    def refresh(self) -> None:
        """End changes whose time is over, and take over those of other processes."""
        with self._lock:
            overrides = self._overrides
            if self._shared is not None and self._shared.has_changed():
                overrides = self._shared.read()
            now = self._clock.now()
            self._apply(
                {
                    name: override
                    for name, override in overrides.items()
                    if override.until is None or override.until > now
                }
            )

    def watch(self) -> None:
        """Refresh once a second, in a thread, as long as there is something to wait for."""
        with self._lock:
            if self._is_waiting():
                self.refresh()
                self._watch.start()

    def close(self) -> None:
        """Stop watching, and give all loggers of this process their own levels back."""
        self._watch.stop()
        with self._lock:
            self._apply({})

    def start_afresh(self) -> None:
        """Forget what another thread may hold, in a process that was copied."""
        self._lock = threading.RLock()
        self._watch = _Watch(self._look)

    def _look(self) -> bool:
        with self._lock:
            self.refresh()
            is_waiting = self._is_waiting()
            if not is_waiting:
                # Under the lock: whoever waits next starts another thread.
                self._watch.forget()
            return is_waiting

    def _is_waiting(self) -> bool:
        ends = (override.until for override in self._overrides.values())
        return self._shared is not None or any(end is not None for end in ends)

    def _change(self, name: str, override: Override | None) -> None:
        with self._lock:
            if self._shared is None:
                self._apply(_merged(self._overrides, name, override))
                return
            try:
                with self._shared.locked():
                    merged = _merged(self._shared.read(), name, override)
                    self._shared.write(merged)
            except OSError:
                logger.warning("A level could not be shared with other processes", exc_info=True)
                merged = _merged(self._overrides, name, override)
            self._apply(merged)

    def _apply(self, overrides: Mapping[str, Override]) -> None:
        for name in self._overrides.keys() - overrides.keys():
            logging.getLogger(name).setLevel(self._originals.pop(name))
        for name, override in overrides.items():
            target = logging.getLogger(name)
            self._originals.setdefault(name, target.level)
            if logging.getLevelName(target.level) != override.level:
                target.setLevel(override.level)
        self._overrides = dict(overrides)

    def _describe(self, name: str) -> LoggerLevel:
        found = logging.getLogger(name)
        override = self._overrides.get(name)
        return LoggerLevel(
            name=name,
            level=logging.getLevelName(found.level) if found.level else None,
            effective=logging.getLevelName(found.getEffectiveLevel()),
            is_changed=override is not None,
            until=override.until if override else None,
        )


class _Watch:
    """A thread that looks once a second, until it is told that there is nothing to wait for."""

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None:
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=self._run, args=(self._stop,), name="log-levels", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread = None

    def forget(self) -> None:
        self._thread = None

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_POLL_SECONDS) and self._look():
            pass


def _require(name: str) -> None:
    # Asking for a logger makes it, and it is never forgotten: names of strangers are not asked for.
    if name != ROOT and name not in logging.root.manager.loggerDict:
        raise UnknownLoggerError


def _merged(
    overrides: Mapping[str, Override], name: str, override: Override | None
) -> dict[str, Override]:
    merged = {known: kept for known, kept in overrides.items() if known != name}
    if override is not None:
        merged[name] = override
    return merged


def _fields(until: datetime | None) -> dict[str, object]:
    return {"fields": {"until": until}} if until else {}
