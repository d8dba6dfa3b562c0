"""What the template gives to Prometheus and Grafana, tried with Prometheus' own tool."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from fastapi_baseline import Settings, create_app
from fastapi_baseline.caching import cached
from fastapi_baseline.observability.metrics import (
    PrometheusMeterProvider,
    observe_dropped_log_records,
)
from fastapi_baseline.persistence import Transaction
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.testing import running

Render = Callable[..., Path]
Run = Callable[..., str]

# Prometheus' own, and what is there only once something has been lost.
NOT_SHOWN = {"up", "baseline_metrics_dropped_total"}
# Prometheus' own.
LABELS_OF_TARGETS = {"instance", "job"}
METRIC = re.compile(r"(?<![\w:])[a-z][a-z0-9_]*(?=\{|\)? (?:<|>|==) |\[)")
GROUPED = re.compile(r"\bby \(([^)]*)\)")
SELECTED = re.compile(r'(\w+) ?(?:=~|!~|!=|=)\s*"')


@pytest.fixture(scope="module")
def monitoring(render_for_session: Render) -> Path:
    return render_for_session("watched", deploy=["compose", "monitoring"]) / "monitoring"


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.fail("promtool is not on PATH. On Debian: apt-get install prometheus")
    return found


def test_has_a_configuration_that_prometheus_accepts(
    monitoring: Path, run: Run, promtool: str
) -> None:
    said = run(promtool, "check", "config", monitoring / "prometheus.yml", cwd=monitoring)

    assert "SUCCESS" in said


def test_has_rules_that_pass_their_own_tests(monitoring: Path, run: Run, promtool: str) -> None:
    said = run(promtool, "test", "rules", monitoring / "rules_test.yml", cwd=monitoring)

    assert "SUCCESS" in said


def test_tests_every_alert(monitoring: Path) -> None:
    rules = yaml.safe_load((monitoring / "rules.yml").read_text(encoding="utf-8"))
    tests = (monitoring / "rules_test.yml").read_text(encoding="utf-8")
    alerts = {
        rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule
    }

    assert len(alerts) >= 8
    assert not {alert for alert in alerts if alert not in tests}


async def test_asks_only_for_metrics_and_labels_that_a_service_has(
    monitoring: Path, tmp_path: Path, redis_url: str
) -> None:
    rules = yaml.safe_load((monitoring / "rules.yml").read_text(encoding="utf-8"))
    dashboard = json.loads((monitoring / "dashboard.json").read_text(encoding="utf-8"))
    asked = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked += [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])
    ]
    url = SecretStr(f"sqlite:///{tmp_path / 'watched.db'}")
    settings = Settings(database_url=url, redis_url=SecretStr(redis_url))
    app = create_app(settings, configure_logging=False)
    limiter = RateLimiter()
    # What `create_app` does where it sets up the log.
    observe_dropped_log_records(PrometheusMeterProvider(), lambda: 0)

    @app.get("/used")
    @limiter.limit("1/minute")
    @cached()
    async def use(transaction: Transaction) -> None:
        await transaction.connection()

    async with running(app) as client:
        await client.get("/used")
        # It waits for what the checks have found.
        await client.get("/readyz")
        shown = (await client.get("/metrics")).text

    samples = [
        sample for family in text_string_to_metric_families(shown) for sample in family.samples
    ]
    wanted = {name for expression in asked for name in METRIC.findall(expression)}
    assert len(wanted) >= 10
    assert wanted - {sample.name for sample in samples} <= NOT_SHOWN
    labels = {label for expression in asked for label in SELECTED.findall(expression)}
    for expression in asked:
        for names in GROUPED.findall(expression):
            labels |= {name.strip() for name in names.split(",")}
    assert len(labels) >= 8
    assert labels - {label for sample in samples for label in sample.labels} == LABELS_OF_TARGETS
