import gzip
from collections.abc import AsyncGenerator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families,  # pyright: ignore[reportUnknownVariableType] -- it has no types
)

from fastapi_baseline.observability.metrics import PrometheusMeterProvider, make_metrics_router

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1"
)
BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


@pytest.fixture
async def client(
    registry: CollectorRegistry, provider: PrometheusMeterProvider
) -> AsyncGenerator[AsyncClient]:
    orders = provider.get_meter("shop").create_counter("orders.placed")
    for number in range(50):
        orders.add(1, {"channel": f"channel-{number}"})
    app = FastAPI()
    app.include_router(make_metrics_router(registry))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (PROMETHEUS_2, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (PROMETHEUS_3, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (BROWSER, "text/plain; version=0.0.4; charset=utf-8"),
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;q=0", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;q=0.3, text/plain",
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        ("application/openmetrics-text;version=x;q=y", "text/plain; version=0.0.4; charset=utf-8"),
    ],
    ids=["2", "3", "browser", "nothing", "text", "refused", "less", "nonsense"],
)
async def test_answers_in_the_format_that_is_preferred(
    accept: str, media_type: str, client: AsyncClient
) -> None:
    response = await client.get("/metrics", headers={"Accept": accept})

    assert response.status_code == 200
    assert response.headers["content-type"] == media_type
    assert response.headers["vary"] == "Accept, Accept-Encoding"


async def test_writes_openmetrics_that_the_strict_parser_reads(client: AsyncClient) -> None:
    response = await client.get("/metrics", headers={"Accept": PROMETHEUS_2})

    (family,) = text_string_to_metric_families(response.text)
    assert family.name == "orders_placed"
    assert len(family.samples) == 50


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [("gzip", "gzip"), ("gzip;q=0", None), ("identity", None), ("br, gzip;q=0.1", "gzip")],
)
async def test_compresses_what_may_be_compressed(
    accepted: str, encoding: str | None, client: AsyncClient
) -> None:
    request = client.build_request("GET", "/metrics", headers={"Accept-Encoding": accepted})
    response = await client.send(request, stream=True)
    body = b"".join([part async for part in response.aiter_raw()])

    assert response.headers.get("content-encoding") == encoding
    assert (gzip.decompress(body) if encoding else body).startswith(b"# HELP orders_placed_total")


async def test_is_in_no_documentation(registry: CollectorRegistry) -> None:
    app = FastAPI()

    app.include_router(make_metrics_router(registry, path="/figures"))

    assert app.openapi()["paths"] == {}
