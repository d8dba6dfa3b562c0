"""Redis for what can do without: it is asked for a moment, and not at all while it does not answer.

A request, or a task that is part of none, waits for a Redis that hangs once, for the deadline at
most: what it asks afterwards fails at once. After some failures in a row nobody asks any more, and a task looks from time to time
whether Redis is back. The log has one line when it goes, and one when it is back; the gauge
`baseline.redis.available` is 0 in between, and the counter `baseline.redis.failures` says by its
`error.type` why something had to do without: `timeout`, `error` (Redis or the connection to it) or
`circuit_open`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Final, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import MeterProvider

from fastapi_baseline._extras import optional
from fastapi_baseline.context import request_context
from fastapi_baseline.redis.circuit_breaker import CircuitBreaker, CircuitState
from fastapi_baseline.redis.deadlines import DeadlineQueue
from fastapi_baseline.redis.errors import RedisUnavailableError
from fastapi_baseline.redis.ping import RedisPing

with optional("redis", extra="redis"):
    from redis.asyncio import Redis
    from redis.exceptions import DataError, RedisError

logger = logging.getLogger("fastapi_baseline.redis")

_TIMEOUT = {"error.type": "timeout"}
_ERROR = {"error.type": "error"}
_CIRCUIT_OPEN = {"error.type": "circuit_open"}

T = TypeVar("T")

_retry_at: ContextVar[float | None] = ContextVar("fastapi_baseline.redis.retry_at", default=None)
"""When a task that is part of no request asks again, after it has waited in vain."""


class GuardedRedis:
    """What a cache or a limiter talks to Redis through; belongs to one event loop.

    Without its `lifespan`, one of those who ask tries from time to time instead.
    """

    def __init__(
        self,
        client: Redis,
        *,
        deadline: timedelta,
        breaker: CircuitBreaker,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        """Ask through `client`, which somebody else closes, and wait `deadline` for an answer."""
        self.client: Final = client
        self._deadline_s = deadline.total_seconds()
        self._deadlines = DeadlineQueue(deadline)
        self._breaker = breaker
        self._retry_interval_s = breaker.retry_interval.total_seconds()
        self._opened = asyncio.Event()
        self._is_watched = False
        self._report = _Report(meter_provider)
        breaker.on_change(self._notice)

    @property
    def is_available(self) -> bool:
        """Return whether Redis is asked at all."""
        return not self._breaker.is_open

    async def run(self, command: Callable[[], Awaitable[T]]) -> T:
        """Return what `command` gives; it asks `client` for something.

        It is cancelled when the deadline is over. If the caller is cancelled, so is the command,
        and nothing is known of Redis by that.

        Raises:
            RedisUnavailableError: If Redis does not answer in time or answers with an error; at
                once if this request has waited in vain already, or too much has failed.
        """
        is_probe = False
        if self._breaker.is_open:
            is_probe = not self._is_watched and self._breaker.claim_probe()
            if not is_probe:
                self._report.count(_CIRCUIT_OPEN)
                raise RedisUnavailableError("Redis does not answer.")
        else:
            self._check_patience()
        try:
            result = await self._deadlines.wait_for(command())
        except DataError:
            raise  # A mistake of the caller: it has not been sent.
        except TimeoutError as error:
            _note_retry_at(time.monotonic() + self._retry_interval_s)
            self._fail(f"nothing came within {self._deadline_s * 1000:g} ms", _TIMEOUT)
            raise RedisUnavailableError("Redis does not answer in time.") from error
        except (RedisError, OSError) as error:
            self._fail(_describe(error), _ERROR)
            raise RedisUnavailableError("Redis does not answer.") from error
        if is_probe:
            self._breaker.confirm_probe()
        self._breaker.record_success()
        return result

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Look from time to time whether Redis is back, while nobody asks it.

        At the beginning, too: the first request finds a connection that is open.
        """
        del app
        # Held here, cancelled below. A TaskGroup would wrap errors of the lifespans inside.
        watch = asyncio.create_task(self._watch())  # noqa: TID251 -- held here
        self._is_watched = True
        try:
            yield
        finally:
            self._is_watched = False
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch(self) -> None:
        ping = RedisPing(self.client)
        with contextlib.suppress(RedisUnavailableError):
            await ping.check()
        while True:
            await self._opened.wait()
            while self._breaker.state is not CircuitState.CLOSED:
                await asyncio.sleep(self._retry_interval_s)
                await self._probe(ping)
            self._opened.clear()

    async def _probe(self, ping: RedisPing) -> None:
        # For as long as it takes to connect: no request waits for this.
        try:
            await ping.check()
        except RedisUnavailableError as error:
            self._report.last_failure = _describe(error.__cause__ or error)
            if self._breaker.state is CircuitState.HALF_OPEN:
                self._breaker.record_failure()
        else:
            if self._breaker.state is CircuitState.HALF_OPEN:
                # Nobody has asked since the last time.
                self._breaker.record_success()
            self._breaker.confirm_probe()

    def _check_patience(self) -> None:
        request = request_context.get()
        retry_at = _retry_at.get() if request is None else request.redis_retry_at
        if retry_at is None:
            return
        if time.monotonic() < retry_at:
            self._report.count(_TIMEOUT)
            raise RedisUnavailableError("Redis does not answer in time.")
        _note_retry_at(None)

    def _fail(self, description: str, attributes: dict[str, str]) -> None:
        self._report.count(attributes)
        self._report.last_failure = description
        self._breaker.record_failure()

    def _notice(self, state: CircuitState) -> None:
        if state is CircuitState.OPEN:
            self._opened.set()
        self._report.tell(state)


class _Report:
    """What is said of Redis, in the log and in metrics."""

    def __init__(self, meter_provider: MeterProvider | None) -> None:
        self.last_failure = ""
        self._was_available = True
        meter = metrics.get_meter("fastapi_baseline.redis", meter_provider=meter_provider)
        self._available = meter.create_gauge(
            "baseline.redis.available", description="Whether Redis is asked: 1, or 0."
        )
        self._failures = meter.create_counter(
            "baseline.redis.failures",
            unit="{command}",
            description="Commands that had to be done without, by why.",
        )
        self._available.set(1)

    def count(self, attributes: dict[str, str]) -> None:
        self._failures.add(1, attributes)

    def tell(self, state: CircuitState) -> None:
        if state is CircuitState.CLOSED:
            self._was_available = True
            self._available.set(1)
            logger.warning("Redis answers again")
        elif state is CircuitState.OPEN and self._was_available:
            self._was_available = False
            self._available.set(0)
            logger.warning(
                "Redis does not answer, and is not asked any more: %s", self.last_failure
            )


def _note_retry_at(moment: float | None) -> None:
    request = request_context.get()
    if request is None:
        _retry_at.set(moment)
    else:
        request.redis_retry_at = moment


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
