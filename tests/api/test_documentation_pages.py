import re
from collections.abc import AsyncGenerator

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from fastapi_baseline import Settings, create_app, install
from fastapi_baseline.testing import running

ADDRESS = re.compile(r'(?:src|href|spec-url)="([^"]*)"')


@pytest.fixture(params=["created", "installed"])
async def client(request: pytest.FixtureRequest) -> AsyncGenerator[AsyncClient]:
    settings = Settings(environment="test")
    app = create_app(settings) if request.param == "created" else FastAPI()
    served = app if request.param == "created" else install(app, settings)
    async with running(served) as client:
        yield client


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc"])
async def test_a_page_loads_nothing_from_elsewhere(client: AsyncClient, path: str) -> None:
    page = await client.get(path)
    loaded = [await client.get(address) for address in ADDRESS.findall(page.text)]

    assert page.status_code == 200
    assert {response.status_code for response in loaded} == {200}
    assert "http" not in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs", "/docs/oauth2-redirect", "/redoc"])
async def test_a_page_has_one_policy_and_the_other_headers(client: AsyncClient, path: str) -> None:
    page = await client.get(path)

    (policy,) = page.headers.get_list("content-security-policy")
    assert "script-src 'self';" in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert len(page.headers.get_list("cross-origin-opener-policy")) == 1


async def test_scripts_are_compressed_and_kept(client: AsyncClient) -> None:
    page = await client.get("/docs")
    (address,) = [found for found in ADDRESS.findall(page.text) if found.endswith("bundle.js")]

    response = await client.get(address, headers={"Accept-Encoding": "gzip"})
    again = await client.get(address, headers={"If-None-Match": response.headers["etag"]})

    assert response.headers["content-encoding"] == "gzip"
    assert "immutable" in response.headers["cache-control"]
    assert again.status_code == 304


async def test_a_page_can_be_left_out() -> None:
    app = create_app(Settings(environment="test"), docs_url=None)
    async with running(app) as client:
        statuses = [(await client.get(path)).status_code for path in ("/docs", "/redoc")]

    assert statuses == [404, 200]
