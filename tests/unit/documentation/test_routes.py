import html
import json
import logging
import re
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response
from starlette.routing import NoMatchFound

from fastapi_baseline.documentation import add_documentation_pages, assets
from fastapi_baseline.documentation.routes import PageRoute
from fastapi_baseline.middleware.exception_handlers import make_exception_handlers

ADDRESS = re.compile(r'(?:src|href|spec-url)="([^"]*)"')
SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL)
PAGES = ("/docs", "/docs/oauth2-redirect", "/redoc")


def make_app(**options: Any) -> FastAPI:
    handlers: dict[Any, Any] = {**make_exception_handlers(validation_status=422)}
    return FastAPI(exception_handlers=handlers, **options)


def client_of(app: Any, **options: Any) -> AsyncClient:
    transport = ASGITransport(app=app, **options)
    return AsyncClient(transport=transport, base_url="https://shop.example")


async def get(app: Any, path: str, **options: Any) -> Response:
    async with client_of(app, **options) as client:
        return await client.get(path)


def policy_of(response: Response) -> dict[str, str]:
    directives = response.headers["content-security-policy"].split("; ")
    return {name: value for name, _, value in (part.partition(" ") for part in directives)}


def settings_of(response: Response) -> dict[str, Any]:
    (text,) = re.findall(r'data-settings="([^"]*)"', response.text)
    return json.loads(html.unescape(text))


@pytest.mark.parametrize("path", PAGES)
async def test_all_that_a_page_loads_comes_from_the_service(path: str) -> None:
    app = make_app()
    add_documentation_pages(app)

    page = await get(app, path)
    addresses = ADDRESS.findall(page.text)
    loaded = [await get(app, address) for address in addresses]

    assert addresses
    assert {address[:1] for address in addresses} == {"/"}
    assert {response.status_code for response in loaded} == {200}
    assert all(len(response.content) > 50 for response in loaded)


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_no_inline_script_and_its_policy_allows_none(path: str) -> None:
    app = make_app()
    add_documentation_pages(app)

    page = await get(app, path)
    policy = policy_of(page)

    assert {
        bool("src=" in attributes and not text) for attributes, text in SCRIPT.findall(page.text)
    } == {True}
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page.text)
    assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
    assert (policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'")
    assert "http" not in page.headers["content-security-policy"]


async def test_only_redoc_may_write_styles_into_its_page() -> None:
    app = make_app()
    add_documentation_pages(app)

    policies = {path: policy_of(await get(app, path)) for path in PAGES}

    assert policies["/docs"]["style-src"] == "'self'"
    assert policies["/redoc"]["style-src"] == "'self' 'unsafe-inline'"
    assert "style-src" not in policies["/docs/oauth2-redirect"]


async def test_a_window_for_signing_in_finds_its_way_back() -> None:
    app = make_app()
    add_documentation_pages(app)

    policies = {
        path: (await get(app, path)).headers["cross-origin-opener-policy"] for path in PAGES
    }

    assert policies == {
        "/docs": "same-origin-allow-popups",
        "/docs/oauth2-redirect": "unsafe-none",
        "/redoc": "same-origin",
    }


async def test_scripts_and_styles_may_be_kept_for_ever() -> None:
    app = make_app()
    add_documentation_pages(app)
    page = await get(app, "/docs")

    types: set[str] = set()
    for address in ADDRESS.findall(page.text):
        response = await get(app, address)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        types.add(response.headers["content-type"].partition(";")[0])

    assert types == {"text/javascript", "text/css", "image/png"}


async def test_redoc_finds_its_logo() -> None:
    app = make_app()
    add_documentation_pages(app)

    response = await get(app, "/redoc/logo-mini.svg")

    assert (response.status_code, response.headers["content-type"]) == (200, "image/svg+xml")


async def test_what_fastapi_was_told_of_its_pages_counts() -> None:
    app = make_app(
        title='"<b>',
        swagger_ui_parameters={"deepLinking": False, "filter": "</div>"},
        swagger_ui_init_oauth={"clientId": "shop"},
        docs_url="/manual",
        swagger_ui_oauth2_redirect_url="/manual/back",
        redoc_url=None,
    )
    add_documentation_pages(app)

    page = await get(app, "/manual")
    settings = settings_of(page)

    assert "<title>&quot;&lt;b&gt; - Swagger UI</title>" in page.text
    assert settings["url"] == "/openapi.json"
    assert (settings["deepLinking"], settings["filter"]) == (False, "</div>")
    assert (settings["redirectPath"], settings["oauth"]) == ("/manual/back", {"clientId": "shop"})
    assert (await get(app, "/manual/back")).status_code == 200
    assert [(await get(app, path)).status_code for path in ("/docs", "/redoc")] == [404, 404]


async def test_redoc_alone_has_what_it_needs() -> None:
    app = make_app(docs_url=None)
    add_documentation_pages(app)

    page = await get(app, "/redoc")

    assert {(await get(app, path)).status_code for path in ADDRESS.findall(page.text)} == {200}
    assert (await get(app, "/docs/oauth2-redirect")).status_code == 404


@pytest.mark.parametrize("options", [{"openapi_url": None}, {"docs_url": None, "redoc_url": None}])
async def test_there_are_no_pages_where_none_are_wanted(options: dict[str, Any]) -> None:
    app = make_app(**options)
    add_documentation_pages(app)

    assert [(await get(app, path)).status_code for path in PAGES] == [404, 404, 404]


async def test_a_mounted_application_finds_its_own_files() -> None:
    inner = make_app()
    add_documentation_pages(inner)
    app = make_app()
    app.mount("/inner", inner)

    page = await get(app, "/inner/docs")

    assert settings_of(page)["url"] == "/inner/openapi.json"
    assert settings_of(page)["redirectPath"] == "/inner/docs/oauth2-redirect"
    assert {(await get(app, path)).status_code for path in ADDRESS.findall(page.text)} == {200}


async def test_a_path_that_a_proxy_takes_away_is_part_of_all_addresses() -> None:
    app = make_app()
    add_documentation_pages(app)

    page = await get(app, "/shop/docs", root_path="/shop")

    assert all(address.startswith("/shop/") for address in ADDRESS.findall(page.text))


async def test_swagger_ui_may_reach_the_servers_that_the_application_names() -> None:
    app = make_app(servers=[{"url": "https://api.example/v1"}, {"url": "/relative"}])
    add_documentation_pages(app, connect_to=["https://login.example"])

    policy = policy_of(await get(app, "/docs"))

    assert policy["connect-src"] == "'self' https://login.example https://api.example"


async def test_answers_head_and_leaves_other_methods_to_the_framework() -> None:
    app = make_app()
    add_documentation_pages(app)

    async with client_of(app) as client:
        head = await client.head("/docs")
        post = await client.post("/docs")

    assert (head.status_code, post.status_code) == (200, 405)


@pytest.mark.parametrize("name", ["../fastapi_standalone_docs/__init__.py", "x.js", "%2e%2e/x"])
async def test_serves_no_other_files(name: str) -> None:
    app = make_app()
    add_documentation_pages(app)
    address = ADDRESS.findall((await get(app, "/docs")).text)[0]

    response = await get(app, f"{address.rpartition('/')[0]}/{name}")

    assert response.status_code == 404


async def test_pages_are_in_no_document() -> None:
    app = make_app()
    add_documentation_pages(app)

    assert app.openapi()["paths"] == {}
    with pytest.raises(NoMatchFound):
        app.url_path_for("anything")


async def test_websockets_pass_by() -> None:
    route = PageRoute({}, path_format="/docs")

    match, _ = route.matches({"type": "websocket", "path": "/docs"})

    assert match.name == "NONE"


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "DISTRIBUTION", "no-such-package")


@pytest.mark.usefixtures("without_package")
async def test_without_the_package_there_are_no_pages(caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()
    with caplog.at_level(logging.WARNING):
        add_documentation_pages(app)

    responses = [await get(app, path) for path in PAGES]

    assert "fastapi-baseline[docs]" in caplog.text
    assert [response.status_code for response in responses] == [404, 404, 404]
    assert responses[0].json()["code"] == "not_found"


@pytest.mark.usefixtures("without_package")
async def test_without_the_package_scripts_may_come_from_one_cdn() -> None:
    app = make_app()
    add_documentation_pages(app, allow_cdn=True)

    pages = {path: await get(app, path) for path in PAGES}
    elsewhere = {
        address
        for page in pages.values()
        for address in ADDRESS.findall(page.text)
        if address.startswith("http")
    }

    assert {address.rpartition("/")[0] for address in elsewhere} == {
        "https://cdn.jsdelivr.net/npm/redoc@2/bundles",
        "https://cdn.jsdelivr.net/npm/swagger-ui-dist@5",
    }
    assert {path: policy_of(page)["script-src"] for path, page in pages.items()} == {
        "/docs": "'self' https://cdn.jsdelivr.net/npm/swagger-ui-dist@5/swagger-ui-bundle.js",
        "/docs/oauth2-redirect": "'self'",
        "/redoc": "'self' https://cdn.jsdelivr.net/npm/redoc@2/bundles/redoc.standalone.js",
    }
    assert 'href="data:,"' in pages["/docs"].text
