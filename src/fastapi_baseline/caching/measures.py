"""What the cache counts. A hit adds one to a number, and nobody is called for it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

_SCOPE = "fastapi_baseline.caching"
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)


@dataclass(slots=True)
class Counts:
    """What has happened since the process started."""

    local_hits: int = 0
    remote_hits: int = 0
    stale_hits: int = 0
    misses: int = 0
    made: int = 0
    shared: int = 0
    refreshes: int = 0
    failed_refreshes: int = 0
    invalidations: int = 0


Reading = Callable[[], int]
_Attributes = dict[str, str | bool | int | float]


def observe_cache(
    counts: Counts,
    *,
    entries: Reading,
    size: Reading,
    evictions: Reading,
    undelivered: Reading,
    meter_provider: MeterProvider | None,
) -> Histogram:
    """Make the instruments of a cache, and return the one for how long requests wait for others.

    Without a provider, the global one is used.
    """
    meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)

    def lookups(_: CallbackOptions) -> Iterable[Observation]:
        yield _observed(counts.local_hits, outcome="hit", level="local")
        yield _observed(counts.remote_hits, outcome="hit", level="remote")
        yield _observed(counts.stale_hits, outcome="stale")
        yield _observed(counts.misses, outcome="miss")

    def makings(_: CallbackOptions) -> Iterable[Observation]:
        yield _observed(counts.made, outcome="made")
        yield _observed(counts.shared, outcome="shared")

    def refreshes(_: CallbackOptions) -> Iterable[Observation]:
        yield _observed(counts.refreshes, outcome="made")
        yield _observed(counts.failed_refreshes, outcome="failed")

    meter.create_observable_counter(
        "baseline.cache.lookups",
        [lookups],
        unit="{lookup}",
        description="Keys that were asked for.",
    )
    meter.create_observable_counter(
        "baseline.cache.makings",
        [makings],
        unit="{making}",
        description="What was not there: made, or shared with a request that made it.",
    )
    meter.create_observable_counter(
        "baseline.cache.refreshes",
        [refreshes],
        unit="{refresh}",
        description="Entries that were made anew in the background.",
    )
    _observe_numbers(
        meter, counts, entries=entries, size=size, evictions=evictions, undelivered=undelivered
    )
    return meter.create_histogram(
        "baseline.cache.wait.duration",
        unit="s",
        description="How long requests waited for others that made the same.",
        explicit_bucket_boundaries_advisory=_SECONDS,
    )


def _observe_numbers(
    meter: metrics.Meter,
    counts: Counts,
    *,
    entries: Reading,
    size: Reading,
    evictions: Reading,
    undelivered: Reading,
) -> None:
    for name, unit, description, read in (
        ("evictions", "{entry}", "Entries that gave way to others in this process.", evictions),
        (
            "invalidations",
            "{invalidation}",
            "Calls that invalidated tags, keys or namespaces.",
            lambda: counts.invalidations,
        ),
    ):
        meter.create_observable_counter(
            f"baseline.cache.{name}", [_reading(read)], unit=unit, description=description
        )
    for name, unit, description, read in (
        ("entries", "{entry}", "Entries in this process.", entries),
        ("size", "By", "Memory that they take.", size),
        (
            "undelivered_invalidations",
            "{name}",
            "Names that are invalid and that Redis was not told yet.",
            undelivered,
        ),
    ):
        meter.create_observable_gauge(
            f"baseline.cache.{name}", [_reading(read)], unit=unit, description=description
        )


def _observed(value: int, **attributes: str) -> Observation:
    named: _Attributes = {f"baseline.cache.{name}": text for name, text in attributes.items()}
    return Observation(value, named)


def _reading(read: Reading) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_: CallbackOptions) -> Iterable[Observation]:
        yield Observation(read())

    return observe
