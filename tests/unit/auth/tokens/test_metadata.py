import pytest
from fastapi import FastAPI

from fastapi_baseline.access import is_public
from fastapi_baseline.auth.tokens.metadata import (
    find_metadata_url,
    make_protected_resource_router,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import running

PATH = "/.well-known/oauth-protected-resource"


async def test_says_which_issuers_are_trusted() -> None:
    app = FastAPI()
    app.include_router(
        make_protected_resource_router(
            resource="https://api.test",
            issuers=["https://issuer.test"],
            scopes=["orders:read"],
            name="Orders",
            documentation="https://api.test/docs",
        )
    )

    async with running(app) as client:
        response = await client.get(PATH)

    assert response.json() == {
        "resource": "https://api.test",
        "authorization_servers": ["https://issuer.test"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["orders:read"],
        "resource_name": "Orders",
        "resource_documentation": "https://api.test/docs",
    }


async def test_leaves_out_what_has_no_value() -> None:
    app = FastAPI()
    app.include_router(
        make_protected_resource_router(resource="https://api.test/v1/", issuers=["https://i.test"])
    )

    async with running(app) as client:
        response = await client.get(f"{PATH}/v1")

    assert response.json() == {
        "resource": "https://api.test/v1/",
        "authorization_servers": ["https://i.test"],
        "bearer_methods_supported": ["header"],
    }


def test_anybody_may_read_it() -> None:
    router = make_protected_resource_router(resource="https://api.test", issuers=[])

    [route] = router.routes

    assert is_public(getattr(route, "endpoint", None))


@pytest.mark.parametrize(
    ("resource", "url"),
    [
        ("https://api.test", f"https://api.test{PATH}"),
        ("https://api.test/", f"https://api.test{PATH}"),
        ("https://api.test:8443/v1/orders", f"https://api.test:8443{PATH}/v1/orders"),
        ("http://localhost:8000/", f"http://localhost:8000{PATH}"),
    ],
)
def test_puts_the_well_known_path_between_host_and_path(resource: str, url: str) -> None:
    assert find_metadata_url(resource) == url


@pytest.mark.parametrize(
    "resource",
    [
        "http://api.test",
        "orders",
        "https://api.test/?tenant=1",
        "https://api.test/#a",
        "https://api.test/{id}",
        'https://api.test/"',
        "https://äpi.test",
    ],
)
def test_refuses_what_identifies_no_resource(resource: str) -> None:
    with pytest.raises(ConfigurationError, match="The URL of the service must"):
        find_metadata_url(resource)
