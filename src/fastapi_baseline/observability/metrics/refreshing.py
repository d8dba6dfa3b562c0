"""Keeping what is only known inside of a process up to date for the scrapes of others."""

import threading
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from types import TracebackType

from prometheus_client import REGISTRY, CollectorRegistry

from fastapi_baseline.observability.metrics.registration import refresh_observed
from fastapi_baseline.observability.metrics.slots import is_counting_together

_DEFAULT_EVERY = timedelta(seconds=10)


class ObservableRefresh:
    """Asks the callbacks of observable instruments from time to time, in a thread.

    Only where processes count together: a scrape is answered by one of them, which can ask no
    callbacks but its own. Enter it as a lifespan is entered.
    """

    def __init__(
        self, registry: CollectorRegistry = REGISTRY, *, every: timedelta = _DEFAULT_EVERY
    ) -> None:
        """Refresh what is in `registry`; nothing runs before it is entered."""
        self._registry = registry
        self._every = every.total_seconds()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def lifespan(self, app: object) -> AbstractAsyncContextManager[None]:
        """Return itself, as what is entered with an application."""
        del app
        return self

    async def __aenter__(self) -> None:
        """Start, if there are other processes."""
        if not is_counting_together():
            return
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="metrics-refresh", daemon=True)
        self._thread.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while True:
            refresh_observed(self._registry)
            if self._stopped.wait(self._every):
                return
