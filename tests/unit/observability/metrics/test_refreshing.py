import threading

from prometheus_client import CollectorRegistry

from fastapi_baseline.observability.metrics import ObservableRefresh


async def test_does_nothing_in_a_process_that_counts_alone(registry: CollectorRegistry) -> None:
    threads = threading.active_count()

    async with ObservableRefresh(registry).lifespan(object()) as state:
        inside = threading.active_count()

    assert state is None
    assert inside == threads
