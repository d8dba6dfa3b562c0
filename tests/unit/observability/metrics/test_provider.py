import logging
import math
from collections.abc import Callable, Generator, Iterable

import pytest
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from prometheus_client import CollectorRegistry, Gauge

from fastapi_baseline.observability.metrics import (
    PrometheusMeterProvider,
    View,
    write_metrics,
)

Read = Callable[[], dict[str, float]]


def test_adds_to_a_counter(provider: PrometheusMeterProvider, samples: Read) -> None:
    counter = provider.get_meter("shop").create_counter("orders.placed", unit="{order}")

    counter.add(2, {"channel": "web"})
    counter.add(1, {"channel": "web"})
    counter.add(1, {"channel": "shop"})

    assert samples() == {
        "orders_placed_total channel=web": 3,
        "orders_placed_total channel=shop": 1,
    }


def test_keeps_a_counter_from_going_down(
    provider: PrometheusMeterProvider, samples: Read, caplog: pytest.LogCaptureFixture
) -> None:
    counter = provider.get_meter("shop").create_counter("orders.placed")

    counter.add(2)
    counter.add(-1)

    assert samples() == {"orders_placed_total": 2}
    assert "cannot go down" in caplog.text


def test_adds_to_and_takes_from_a_sum(provider: PrometheusMeterProvider, samples: Read) -> None:
    running = provider.get_meter("shop").create_up_down_counter("jobs.running")

    running.add(3)
    running.add(-1)

    assert samples() == {"jobs_running": 2}


def test_sets_a_gauge(provider: PrometheusMeterProvider, samples: Read) -> None:
    gauge = provider.get_meter("shop").create_gauge("room.temperature", unit="Cel")

    gauge.set(20)
    gauge.set(21.5)

    assert samples() == {"room_temperature_celsius": 21.5}


def test_observes_in_a_histogram(provider: PrometheusMeterProvider, samples: Read) -> None:
    histogram = provider.get_meter("shop").create_histogram("parcel.weight", unit="g")

    histogram.record(10)
    histogram.record(20)

    assert samples() == {"parcel_weight_grams_count": 2, "parcel_weight_grams_sum": 30}


@pytest.mark.parametrize(
    ("unit", "advised", "view", "expected"),
    [
        ("s", None, None, "0.005"),
        ("By", None, None, "0.0"),
        ("s", (1, 2), None, "1.0"),
        ("s", (1, 2), View(buckets=(7, 8)), "7.0"),
    ],
)
def test_takes_the_buckets_of_the_view_or_the_advice_or_a_default(
    unit: str,
    advised: tuple[float, ...] | None,
    view: View | None,
    expected: str,
    registry: CollectorRegistry,
) -> None:
    provider = PrometheusMeterProvider(registry, views={"x": view} if view else None)
    histogram = provider.get_meter("shop").create_histogram(
        "x", unit=unit, explicit_bucket_boundaries_advisory=advised
    )

    histogram.record(1)

    first = next(line for line in write_metrics(registry).decode().splitlines() if "le=" in line)
    assert f'le="{expected}"' in first


def test_leaves_out_attributes_that_the_conventions_do_not_list(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    histogram = provider.get_meter("fastapi").create_histogram(
        "http.server.request.duration", unit="s"
    )

    histogram.record(
        0.2,
        {
            "http.request.method": "GET",
            "http.route": "/items/{number}",
            "http.response.status_code": 200,
            "url.path": "/items/1",
            "user_agent.original": "anything",
        },
    )

    assert next(iter(samples())) == (
        "http_server_request_duration_seconds_count "
        "http_request_method=GET http_response_status_code=200 http_route=/items/{number}"
    )


def test_lets_a_service_say_which_attributes_are_labels(
    registry: CollectorRegistry, samples: Read
) -> None:
    provider = PrometheusMeterProvider(
        registry, views={"orders.placed": View(attributes=("channel",), name="shop_orders")}
    )

    provider.get_meter("shop").create_counter("orders.placed").add(
        1, {"channel": "web", "customer": "7"}
    )

    assert samples() == {"shop_orders_total channel=web": 1}


def test_shares_a_metric_between_all_who_ask_for_it(
    registry: CollectorRegistry, samples: Read
) -> None:
    first = PrometheusMeterProvider(registry).get_meter("one").create_counter("orders.placed")
    second = PrometheusMeterProvider(registry).get_meter("two").create_counter("orders.placed")

    first.add(1)
    second.add(1)

    assert samples() == {"orders_placed_total": 2}


@pytest.mark.parametrize(
    "create",
    ["counter", "up_down_counter", "histogram", "gauge"],
)
def test_measures_nothing_where_the_name_is_taken_from_elsewhere(
    create: str,
    registry: CollectorRegistry,
    provider: PrometheusMeterProvider,
    samples: Read,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for name in ("taken", "taken_total", "taken_count"):
        Gauge(name, "Of somebody else.", registry=registry)
    instrument = getattr(provider.get_meter("shop"), f"create_{create}")("taken")

    record = next(
        getattr(instrument, name) for name in ("add", "record", "set") if hasattr(instrument, name)
    )
    record(1)

    assert set(samples().values()) == {0}
    assert "exists already" in caplog.text


def test_measures_nothing_where_the_name_is_that_of_another_kind(
    provider: PrometheusMeterProvider, samples: Read, caplog: pytest.LogCaptureFixture
) -> None:
    meter = provider.get_meter("shop")
    meter.create_counter("orders").add(1)

    meter.create_gauge("orders").set(7)

    assert samples() == {"orders_total": 1}
    assert "already a counter" in caplog.text


def test_asks_callbacks_whenever_it_is_looked_at(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    depth = {"a": 1}

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value, {"queue": name}) for name, value in depth.items()]

    provider.get_meter("shop").create_observable_gauge("queue.depth", [observe])

    before = samples()
    depth["a"] = 2
    after = samples()

    assert before == {"queue_depth queue=a": 1}
    assert after == {"queue_depth queue=a": 2}


def test_says_unknown_of_a_gauge_that_is_no_longer_observed(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    depth = {"a": 1}
    provider.get_meter("shop").create_observable_gauge(
        "queue.depth", [lambda options: [Observation(v, {"queue": k}) for k, v in depth.items()]]
    )

    samples()
    depth.clear()

    assert math.isnan(samples()["queue_depth queue=a"])


def test_says_zero_of_a_sum_that_is_no_longer_observed(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    depth = {"a": 1}
    provider.get_meter("shop").create_observable_up_down_counter(
        "queue.depth", [lambda options: [Observation(v, {"queue": k}) for k, v in depth.items()]]
    )

    samples()
    depth.clear()

    assert samples() == {"queue_depth queue=a": 0}


def test_adds_up_what_several_observe_of_one_sum(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    meter = provider.get_meter("shop")
    meter.create_observable_up_down_counter("pool.size", [lambda options: [Observation(2)]])
    meter.create_observable_up_down_counter("pool.size", [lambda options: [Observation(3)]])

    assert samples() == {"pool_size": 5}


def test_takes_over_totals_and_goes_on_after_they_began_again(
    provider: PrometheusMeterProvider, samples: Read
) -> None:
    totals = iter([5, 8, 2])
    provider.get_meter("shop").create_observable_counter(
        "parcels.sent", [lambda options: [Observation(next(totals))]]
    )

    seen = [samples()["parcels_sent_total"] for _ in range(3)]

    assert seen == [5, 8, 10]


def test_asks_generators_too(provider: PrometheusMeterProvider, samples: Read) -> None:
    def observe() -> Generator[Iterable[Observation], CallbackOptions]:
        yield []
        yield [Observation(1)]
        yield [Observation(2)]

    provider.get_meter("shop").create_observable_gauge("queue.depth", [observe()])

    seen = [samples()["queue_depth"] for _ in range(2)]

    assert seen == [1, 2]


def test_shows_the_rest_when_a_callback_fails(
    provider: PrometheusMeterProvider, samples: Read, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(options: CallbackOptions) -> Iterable[Observation]:
        raise RuntimeError("broken")

    provider.get_meter("shop").create_observable_up_down_counter(
        "queue.depth", [fail, lambda options: [Observation(1)]]
    )

    assert samples() == {"queue_depth": 1}
    assert "queue_depth failed" in caplog.text


@pytest.mark.parametrize("create", ["counter", "up_down_counter", "gauge"])
def test_observes_nothing_where_the_name_is_taken(
    create: str, registry: CollectorRegistry, provider: PrometheusMeterProvider, samples: Read
) -> None:
    for name in ("taken", "taken_total"):
        Gauge(name, "Of somebody else.", registry=registry)

    def observe(options: CallbackOptions) -> Iterable[Observation]:
        return [Observation(1)]

    getattr(provider.get_meter("shop"), f"create_observable_{create}")("taken", [observe])

    assert set(samples().values()) == {0}


def test_notes_the_sampled_span_of_a_value(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    histogram = provider.get_meter("shop").create_histogram("parcel.weight", unit="g")
    counter = provider.get_meter("shop").create_counter("parcels.sent")

    with TracerProvider().get_tracer("shop").start_as_current_span("send") as span:
        histogram.record(3)
        counter.add(1)

    trace_id = f'trace_id="{span.get_span_context().trace_id:032x}"'
    noted = [
        line.partition("{")[0]
        for line in write_metrics(registry, is_openmetrics=True).decode().splitlines()
        if trace_id in line
    ]
    assert noted == ["parcel_weight_grams_bucket", "parcels_sent_total 1.0 # "]


def test_notes_no_span_that_is_not_sampled(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> None:
    histogram = provider.get_meter("shop").create_histogram("parcel.weight", unit="g")

    with TracerProvider(sampler=ALWAYS_OFF).get_tracer("shop").start_as_current_span("send"):
        histogram.record(3)

    assert b"trace_id" not in write_metrics(registry, is_openmetrics=True)


def test_logs_nothing_in_ordinary_use(
    provider: PrometheusMeterProvider, samples: Read, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    meter = provider.get_meter("shop")

    for _ in range(2):
        meter.create_counter("orders.placed", unit="{order}").add(1, {"channel": "web"})

    assert samples() == {"orders_placed_total channel=web": 2}
    assert caplog.records == []
