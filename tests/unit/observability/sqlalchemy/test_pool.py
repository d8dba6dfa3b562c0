import gc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from sqlalchemy import Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from fastapi_baseline.observability.sqlalchemy import observe_pool

COUNT = "db.client.connection.count"
Points = Callable[[str], dict[tuple[object, ...], Any]]


@pytest.fixture
def engine(tmp_path: Path, meter_provider: MeterProvider) -> Generator[Engine]:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'test.db'}",
        poolclass=QueuePool,
        pool_size=2,
        max_overflow=1,
        pool_timeout=0.01,
    )
    observe_pool(engine, name="main", meter_provider=meter_provider)
    yield engine
    engine.dispose()


def test_counts_the_connections_by_what_they_do(engine: Engine, points: Points) -> None:
    with engine.connect(), engine.connect():
        busy = points(COUNT)

    assert busy == {("main", "used"): 2, ("idle", "main"): 0}
    assert points(COUNT) == {("main", "used"): 0, ("idle", "main"): 2}


def test_says_how_many_there_can_be(engine: Engine, points: Points) -> None:
    assert points("db.client.connection.max") == {("main",): 3}


def test_measures_how_long_a_connection_was_waited_for(engine: Engine, points: Points) -> None:
    for _ in range(2):
        with engine.connect():
            pass

    assert points("db.client.connection.wait_time") == {("main",): 2}


def test_counts_who_has_waited_in_vain(engine: Engine, points: Points) -> None:
    with (
        engine.connect(),
        engine.connect(),
        engine.connect(),
        pytest.raises(PoolTimeoutError),
    ):
        engine.connect()

    assert points("db.client.connection.timeouts") == {("main",): 1}
    assert points("db.client.connection.wait_time") == {("main",): 3}
    assert points("db.client.connection.pending_requests") == {("main",): 0}


def test_counts_who_waits(engine: Engine, points: Points) -> None:
    seen: list[object] = []

    def note(*details: object) -> None:
        seen.append(points("db.client.connection.pending_requests"))

    event.listen(engine, "do_connect", note)
    with engine.connect():
        pass

    assert seen == [{("main",): 1}]


def test_goes_on_with_the_pool_that_follows(engine: Engine, points: Points) -> None:
    engine.dispose()
    engine.dispose()

    with engine.connect():
        assert points(COUNT)["main", "used"] == 1

    assert points("db.client.connection.wait_time") == {("main",): 1}


def test_an_engine_with_the_same_pool_adds_nothing(
    engine: Engine, meter_provider: MeterProvider, points: Points
) -> None:
    derived = engine.execution_options(logging_token="x")
    observe_pool(derived, name="other", meter_provider=meter_provider)

    with derived.connect():
        pass

    assert points("db.client.connection.wait_time") == {("main",): 1}


def test_a_pool_without_connections_has_no_number_of_them(
    meter_provider: MeterProvider, points: Points
) -> None:
    engine = create_engine("sqlite://", poolclass=NullPool)
    observe_pool(engine, meter_provider=meter_provider)

    with engine.connect():
        pass

    assert points(COUNT) == {}
    assert points("db.client.connection.max") == {}
    assert points("db.client.connection.wait_time") == {("default",): 1}


def test_a_pool_without_a_limit_has_no_maximum(
    tmp_path: Path, meter_provider: MeterProvider, points: Points
) -> None:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'x.db'}", poolclass=QueuePool, pool_size=1, max_overflow=-1
    )

    observe_pool(engine, meter_provider=meter_provider)

    assert points("db.client.connection.max") == {}


def test_the_meter_does_not_keep_an_engine_alive(
    meter_provider: MeterProvider, points: Points
) -> None:
    engine = create_engine("sqlite://", poolclass=QueuePool)
    observe_pool(engine, meter_provider=meter_provider)

    del engine
    gc.collect()

    assert points(COUNT) == {}
    assert points("db.client.connection.pending_requests") == {}
