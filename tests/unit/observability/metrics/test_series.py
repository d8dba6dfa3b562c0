from collections.abc import Callable

import pytest
from opentelemetry.util.types import AttributeValue
from prometheus_client import CollectorRegistry

from fastapi_baseline.observability.metrics import PrometheusMeterProvider, View
from fastapi_baseline.observability.metrics.registration import registration_of
from fastapi_baseline.observability.metrics.series import FixedAttributes

Read = Callable[[], dict[str, float]]


def test_counts_in_one_series_what_there_is_no_room_for(
    registry: CollectorRegistry, samples: Read
) -> None:
    counter = (
        PrometheusMeterProvider(registry, max_series=2)
        .get_meter("shop")
        .create_counter("orders.placed")
    )

    for channel in ("web", "shop", "phone", "letter", "web"):
        counter.add(1, {"channel": channel})

    assert samples() == {
        "orders_placed_total channel=web": 2,
        "orders_placed_total channel=shop": 1,
        "orders_placed_total otel_metric_overflow=true": 2,
        "baseline_metrics_dropped_total instrument=orders_placed": 2,
    }


def test_tells_attributes_apart_whatever_their_order(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    counter = provider.get_meter("shop").create_counter("orders.placed")

    counter.add(1, {"channel": "web", "kind": "gift"})
    counter.add(1, {"kind": "gift", "channel": "web"})
    counter.add(1, {"kind": "gift"})

    assert samples() == {
        "orders_placed_total channel=web kind=gift": 2,
        "orders_placed_total kind=gift": 1,
    }


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (True, "true"),
        (200, "200"),
        (1.5, "1.5"),
        (["a", "b"], "a,b"),
        (("a", "b"), "a,b"),
        ("a\ud800b", "a?b"),
        ("a" * 300, "a" * 256),
    ],
    ids=["bool", "int", "float", "list", "tuple", "surrogate", "long"],
)
def test_writes_a_value_as_text(
    value: AttributeValue, label: str, provider: PrometheusMeterProvider, samples: Read
) -> None:
    counter = provider.get_meter("shop").create_counter("orders.placed")

    counter.add(1, {"what": value})
    counter.add(1, {"what": value})

    assert samples() == {f"orders_placed_total what={label}": 2}


@pytest.mark.parametrize("value", ['a\nb 7\n"c"} 1\\', "\u2028", "\r\n"])
def test_lets_no_value_forge_a_series(
    value: str, provider: PrometheusMeterProvider, samples: Read
) -> None:
    provider.get_meter("shop").create_counter("orders.placed").add(1, {"what": value})

    assert samples() == {f"orders_placed_total what={value}": 1}


def test_knows_no_more_than_fifty_classes_of_errors(
    registry: CollectorRegistry, samples: Read
) -> None:
    view = View(attributes=("error.type",))
    counter = (
        PrometheusMeterProvider(registry, views={"jobs.failed": view})
        .get_meter("shop")
        .create_counter("jobs.failed")
    )

    for number in range(60):
        counter.add(1, {"error.type": f"Error{number}"})
    counter.add(1, {"error.type": "Error7"})
    counter.add(1)

    found = samples()
    assert len(found) == 52
    assert found["jobs_failed_total error_type=_OTHER"] == 10
    assert found["jobs_failed_total error_type=Error7"] == 2
    assert found["jobs_failed_total"] == 1


def test_begins_at_zero_where_there_are_no_labels(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    provider.get_meter("fastapi_baseline").create_counter("log.records.dropped")

    assert samples() == {"log_records_dropped_total": 0}


def test_shows_no_metric_without_series(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    provider.get_meter("shop").create_counter("orders.placed")

    assert list(registry.collect()) == []


def test_finds_fixed_attributes_by_what_they_say(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    counter = provider.get_meter("shop").create_counter("orders.placed")
    fixed = FixedAttributes({"channel": "web"})

    for attributes in (fixed, {"channel": "web"}, fixed, FixedAttributes({"channel": "web"})):
        counter.add(1, attributes)
    counter.add(1, FixedAttributes({"channel": "phone"}))

    assert samples() == {
        "orders_placed_total channel=web": 4,
        "orders_placed_total channel=phone": 1,
    }


def test_bounds_what_it_remembers_of_fixed_attributes(
    registry: CollectorRegistry, samples: Read
) -> None:
    counter = (
        PrometheusMeterProvider(registry, max_series=2)
        .get_meter("shop")
        .create_counter("orders.placed")
    )

    for _ in range(100):
        counter.add(1, FixedAttributes({"channel": "web"}))

    (family,) = (
        one
        for one in registration_of(registry).families.values()
        if "orders" in one.description.name
    )
    assert samples() == {"orders_placed_total channel=web": 100}
    assert len(vars(family)["_found"]) == 4
