from datetime import timedelta

import pytest
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.settings import HealthSettings


class Check:
    name = "warehouse"

    def __init__(self) -> None:
        self.is_well = True

    async def check(self) -> None:
        if not self.is_well:
            raise ConnectionError("10.0.0.7 refused")


@pytest.fixture
def check() -> Check:
    return Check()


def _client(check: Check, *, details: bool) -> AsyncClient:
    settings = Settings(health=HealthSettings(details=details, timeout=timedelta(seconds=1)))
    app = create_app(settings, checks=[check], configure_logging=False)
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")


async def test_lives_whatever_the_checks_say(check: Check) -> None:
    check.is_well = False

    async with _client(check, details=True) as client:
        answer = await client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_is_ready_when_all_is_well(check: Check) -> None:
    async with _client(check, details=True) as client:
        answer = await client.get("/readyz")

    assert answer.json() == {"status": "ok", "checks": {"warehouse": "ok"}}


async def test_is_a_problem_when_something_is_not(check: Check) -> None:
    check.is_well = False

    async with _client(check, details=True) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "not_ready"
    assert answer.json()["errors"] == [
        {
            "in": "checks",
            "pointer": "#/warehouse",
            "detail": "The check failed with ConnectionError.",
            "code": "check_failed",
        }
    ]


async def test_names_nothing_where_settings_do_not_allow_it(check: Check) -> None:
    async with _client(check, details=False) as client:
        well = await client.get("/readyz")
        check.is_well = False
        unwell = await client.get("/readyz")

    assert well.json() == {"status": "ok"}
    assert "warehouse" not in unwell.text


async def test_is_in_no_documentation(check: Check) -> None:
    async with _client(check, details=True) as client:
        document = await client.get("/openapi.json")

    assert document.json()["paths"] == {}
