"""The connections of an engine: how many there are, and how long somebody waits for one.

The instruments are those of the semantic conventions, `db.client.connection.*`, with the attribute
`db.client.connection.pool.name`. The numbers of connections are read when somebody asks for them;
to wait is measured by the pool's own method, since SQLAlchemy has no event for it.
"""

import weakref
from collections.abc import Callable, Iterable
from functools import wraps
from time import perf_counter

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.util.types import AttributeValue

from fastapi_baseline._extras import optional

with optional("sqlalchemy", "greenlet", extra="persistence"):
    from sqlalchemy import Engine, Pool, PoolProxiedConnection, QueuePool, event
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError
    from sqlalchemy.ext.asyncio import AsyncEngine

_SCOPE = "fastapi_baseline.sqlalchemy"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
_POOL_NAME = "db.client.connection.pool.name"
_STATE = "db.client.connection.state"
_OBSERVED = "_fastapi_baseline_observed"


def observe_pool(
    engine: AsyncEngine | Engine,
    *,
    name: str = "default",
    meter_provider: MeterProvider | None = None,
) -> None:
    """Measure the pool of an engine, also the one that it has after `dispose()`.

    An engine that shares the pool of one that is observed already adds nothing. Pools that keep no
    connections have no number of them. The time to wait includes opening a connection, if there is
    none, and testing one that is there.
    """
    target = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
    if getattr(target.pool.connect, _OBSERVED, False):
        return
    observer = _PoolObserver(target, name, metrics.get_meter(_SCOPE, meter_provider=meter_provider))
    observer.watch(target.pool)
    event.listen(target, "engine_disposed", observer.watch_again)


class _PoolObserver:
    def __init__(self, engine: Engine, name: str, meter: metrics.Meter) -> None:
        # Weak: the meter keeps its callbacks for ever.
        self._engine = weakref.ref(engine)
        self._attributes: dict[str, AttributeValue] = {_POOL_NAME: name}
        # Each is there for as long as it waits; unlike a number, a set is right without a lock.
        self._waiting: set[object] = set()
        self._wait = meter.create_histogram(
            "db.client.connection.wait_time",
            unit="s",
            description="The time it took to obtain an open connection from the pool.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._timeouts = meter.create_counter(
            "db.client.connection.timeouts",
            unit="{timeout}",
            description="How often nobody gave a connection back in time.",
        )
        self._observe(meter)

    def _observe(self, meter: metrics.Meter) -> None:
        meter.create_observable_up_down_counter(
            "db.client.connection.count",
            [self._count],
            unit="{connection}",
            description="The number of open connections, by what they do.",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.max",
            [self._max],
            unit="{connection}",
            description="The maximum number of open connections allowed.",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.pending_requests",
            [self._pending],
            unit="{request}",
            description="The number of requests that wait for an open connection.",
        )

    def watch(self, pool: Pool) -> None:
        connect = pool.connect
        if not getattr(connect, _OBSERVED, False):
            pool.connect = self._timed(connect)

    def watch_again(self, engine: Engine) -> None:
        self.watch(engine.pool)

    def _timed(
        self, connect: Callable[[], PoolProxiedConnection]
    ) -> Callable[[], PoolProxiedConnection]:
        @wraps(connect)
        def timed() -> PoolProxiedConnection:
            turn = object()
            self._waiting.add(turn)
            started = perf_counter()
            try:
                connection = connect()
            except PoolTimeoutError:
                self._timeouts.add(1, self._attributes)
                raise
            finally:
                self._waiting.discard(turn)
            self._wait.record(perf_counter() - started, self._attributes)
            return connection

        setattr(timed, _OBSERVED, True)
        return timed

    def _find_queue(self) -> QueuePool | None:
        engine = self._engine()
        return engine.pool if engine is not None and isinstance(engine.pool, QueuePool) else None

    def _count(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        pool = self._find_queue()
        if pool is None:
            return []
        # Both are sums of two numbers that change one after the other.
        used, idle = max(0, pool.checkedout()), max(0, pool.checkedin())
        return [
            Observation(used, {**self._attributes, _STATE: "used"}),
            Observation(idle, {**self._attributes, _STATE: "idle"}),
        ]

    def _max(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        pool = self._find_queue()
        if pool is None or pool.size() == 0:
            return []
        overflow = pool._max_overflow  # pyright: ignore[reportPrivateUsage] # noqa: SLF001 -- nothing public says it
        return [Observation(pool.size() + overflow, self._attributes)] if overflow >= 0 else []

    def _pending(self, options: CallbackOptions) -> Iterable[Observation]:
        del options
        # Not of an engine that is gone: another one may have taken its name.
        return [] if self._engine() is None else [Observation(len(self._waiting), self._attributes)]
