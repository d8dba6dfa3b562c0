"""Needs the programs of Debian's package `prometheus`."""

import json
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fastapi_baseline.testing import ServerProcess, server_process, uvicorn_server

ROOT = Path(__file__).parents[3]
OWN = {"cache_fill_ratio", "orders_placed_total"}
NAMES = {
    "baseline_metrics_dropped_total",
    "build_info",
    "cache_fill_ratio",
    "db_client_connection_create_time_seconds",
    "db_client_connection_max",
    "db_client_connection_pending_requests",
    "db_client_connection_timeouts_total",
    "db_client_connection_use_time_seconds",
    "db_client_connection_wait_time_seconds",
    "db_client_connections",
    "db_client_operation_duration_seconds",
    "event_loop_lag_max_seconds",
    "event_loop_lag_seconds",
    "health_check_duration_seconds",
    "health_check_status",
    "http_client_request_duration_seconds",
    "http_server_active_requests",
    "http_server_request_body_size_bytes",
    "http_server_request_duration_seconds",
    "http_server_response_body_size_bytes",
    "log_records_dropped_total",
    "orders_placed_total",
}

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def service() -> Generator[ServerProcess]:
    with uvicorn_server("metered:app", cwd=Path(__file__).parent) as service:
        yield service


@pytest.fixture(scope="module", params=["alone", "together"])
def scraped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Generator[str]:
    """Give what a scrape of one process is answered, and what one of two."""
    together = request.param == "together"
    folder = str(tmp_path_factory.mktemp("counts"))
    with uvicorn_server(
        "metered:app",
        arguments=("--workers", "2") if together else (),
        env={"PROMETHEUS_MULTIPROC_DIR": folder} if together else None,
        cwd=Path(__file__).parent,
    ) as service:
        httpx2.get(f"{service.base_url}/api/tasks/a")
        httpx2.get(f"{service.base_url}/mounted/thing/a")
        httpx2.get(f"{service.base_url}/nowhere")
        yield httpx2.get(f"{service.base_url}/metrics").text


@contextmanager
def _prometheus(targets: list[str], folder: Path) -> Generator[str]:
    """Start a server of Prometheus that scrapes these addresses, and give its own."""
    settings = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "service", "static_configs": [{"targets": targets}]}],
    }
    # What is JSON is YAML, too.
    (folder / "prometheus.yml").write_text(json.dumps(settings), encoding="utf-8")

    def command(port: int) -> list[str]:
        return [
            "prometheus",
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--enable-feature=exemplar-storage",
        ]

    with server_process(command, ready_path="/-/ready") as server:
        yield server.base_url


def test_promtool_finds_nothing_to_complain_of(scraped: str) -> None:
    result = subprocess.run(
        ("promtool", "check", "metrics"), input=scraped, capture_output=True, check=False, text=True
    )

    assert result.stderr + result.stdout == ""
    assert result.returncode == 0


def test_has_all_metrics_that_the_library_names(scraped: str) -> None:
    typed = {line.split()[2] for line in scraped.splitlines() if line.startswith("# TYPE ")}

    assert NAMES - {"baseline_metrics_dropped_total"} <= typed
    assert {name for name in typed if not name.startswith(("process_", "python_"))} <= NAMES


@pytest.mark.parametrize(
    "route", ["/api/tasks/{name}", "/mounted/thing/{name}"], ids=["included", "mounted"]
)
def test_names_the_whole_template_of_a_route(route: str, scraped: str) -> None:
    counted = [
        line
        for line in scraped.splitlines()
        if line.startswith("http_server_request_duration_seconds_count") and f'"{route}"' in line
    ]

    labels = f'http_request_method="GET",http_response_status_code="200",http_route="{route}"'
    assert counted == [f"http_server_request_duration_seconds_count{{{labels}}} 1.0"]


def test_has_no_route_for_a_path_that_has_none(scraped: str) -> None:
    assert (
        'http_server_request_duration_seconds_count{http_request_method="GET",'
        'http_response_status_code="404"} 1.0'
    ) in scraped


def test_a_server_of_prometheus_scrapes_it(
    service: ServerProcess, eventually: Ask, tmp_path: Path
) -> None:
    for _ in range(3):
        httpx2.get(f"{service.base_url}/api/tasks/a")

    with _prometheus([f"127.0.0.1:{service.port}"], tmp_path) as prometheus:

        def ask(path: str, **parameters: str) -> Any:
            answer = httpx2.get(f"{prometheus}/api/v1/{path}", params=parameters).json()
            assert answer["status"] == "success"
            return answer["data"]

        def query(expression: str) -> list[Any]:
            return ask("query", query=expression)["result"]

        (counted,) = eventually(
            lambda: query(
                'http_server_request_duration_seconds_count{http_route="/api/tasks/{name}"}'
            )
        )
        (target,) = ask("targets")["activeTargets"]
        metadata = ask("metadata", metric="http_server_request_duration_seconds")
        exemplars = eventually(
            lambda: ask(
                "query_exemplars",
                query="http_server_request_duration_seconds_bucket",
                start="0",
                end="9999999999",
            )
        )

    assert float(counted["value"][1]) == 3
    assert counted["metric"]["http_response_status_code"] == "200"
    assert (target["health"], target["lastError"]) == ("up", "")
    assert metadata["http_server_request_duration_seconds"][0]["type"] == "histogram"
    assert len(exemplars[0]["exemplars"][0]["labels"]["trace_id"]) == 32


def test_the_reference_lists_every_metric() -> None:
    page = (ROOT / "docs/reference/metrics.md").read_text(encoding="utf-8")

    assert [name for name in sorted(NAMES - OWN) if f"| `{name}` |" not in page] == []
