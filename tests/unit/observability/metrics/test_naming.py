import pytest

from fastapi_baseline.observability.metrics.naming import (
    Kind,
    label_name,
    metric_name,
    unit_suffix,
)


@pytest.mark.parametrize(
    ("unit", "kind", "suffix"),
    [
        ("s", "histogram", "seconds"),
        ("ms", "histogram", "milliseconds"),
        ("By", "counter", "bytes"),
        ("By/s", "gauge", "bytes_per_second"),
        ("{request}", "gauge", ""),
        ("{packet}/s", "gauge", "per_second"),
        ("1", "gauge", "ratio"),
        ("1", "counter", ""),
        ("%", "gauge", "percent"),
        ("furlong", "gauge", "furlong"),
        ("m/fortnight", "gauge", "meters_per_fortnight"),
        ("", "gauge", ""),
    ],
)
def test_writes_units_out(unit: str, kind: Kind, suffix: str) -> None:
    assert unit_suffix(unit, kind) == suffix


@pytest.mark.parametrize(
    ("name", "unit", "kind", "expected"),
    [
        (
            "http.server.request.duration",
            "seconds",
            "histogram",
            "http_server_request_duration_seconds",
        ),
        ("queue.wait.seconds", "seconds", "histogram", "queue_wait_seconds"),
        ("seconds", "seconds", "counter", "seconds"),
        ("orders_total", "", "counter", "orders"),
        ("orders  placed/today", "", "counter", "orders_placed_today"),
        ("3d.prints", "", "counter", "_3d_prints"),
        ("...", "", "counter", "unnamed"),
        ("pool.connection.count", "", "gauge", "pool_connection"),
        ("tasks.total.count", "", "gauge", "tasks"),
        ("total", "", "gauge", "total"),
    ],
)
def test_names_metrics_as_prometheus_wants_them(
    name: str, unit: str, kind: Kind, expected: str
) -> None:
    assert metric_name(name, unit=unit, kind=kind) == expected


@pytest.mark.parametrize(
    ("key", "label"),
    [
        ("http.route", "http_route"),
        ("__reserved__", "reserved"),
        ("1st", "key_1st"),
        ("le", "key_le"),
        ("quantile", "key_quantile"),
        ("é", "unnamed"),
    ],
)
def test_names_labels_as_prometheus_wants_them(key: str, label: str) -> None:
    assert label_name(key) == label
