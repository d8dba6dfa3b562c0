from datetime import timedelta
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from fastapi_baseline.caching.cache import Cache
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.testing.clock import ManualClock


def read(reader: InMemoryMetricReader) -> dict[str, dict[str, Any]]:
    data = reader.get_metrics_data()
    assert data is not None
    [resource] = data.resource_metrics
    [scope] = resource.scope_metrics
    return {
        metric.name.removeprefix("baseline.cache."): {
            " ".join(str(value) for value in (point.attributes or {}).values()): getattr(
                point, "value", None
            )
            for point in metric.data.data_points
        }
        for metric in scope.metrics
    }


async def test_counts_what_was_found_and_what_was_not() -> None:
    reader = InMemoryMetricReader()
    clock = ManualClock()
    cache = Cache(
        clock=clock, random=lambda: 0.0, meter_provider=MeterProvider(metric_readers=[reader])
    )
    entry = cache.make_entry(b"x", lifetime=Lifetime(stale=timedelta(minutes=1)))
    await cache.find("n:k")
    await cache.put("n:k", entry)
    cache.find_fresh_local("n:k")
    await cache.find("n:k")
    clock.advance(timedelta(minutes=1))
    await cache.find("n:k")
    await cache.invalidate("t")

    read_once = read(reader)

    assert read_once["lookups"] == {"hit local": 2, "hit remote": 0, "stale": 1, "miss": 1}
    assert read_once["invalidations"] == {"": 1}
    assert read_once["entries"] == {"": 1}
    assert read_once["size"][""] > 0
    assert read_once["undelivered_invalidations"] == {"": 0}


async def test_counts_what_was_made_and_what_was_shared() -> None:
    reader = InMemoryMetricReader()
    cache = Cache(meter_provider=MeterProvider(metric_readers=[reader]))

    async def make() -> int:
        return 1

    for _ in range(3):
        await cache.get_or_set("k", make)

    assert read(reader)["makings"] == {"made": 1, "shared": 0}
