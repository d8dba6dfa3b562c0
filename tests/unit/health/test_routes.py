import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from starlette.requests import HTTPConnection

from fastapi_baseline.health import (
    CheckRegistration,
    HealthGroup,
    HealthMonitor,
    make_health_router,
)
from fastapi_baseline.lifecycle import Availability

PROBES = ("/livez", "/readyz", "/startupz", "/health", "/health/ready")


class Check:
    def __init__(self, name: str = "warehouse") -> None:
        self.name = name
        self.is_well = True

    async def check(self) -> None:
        if not self.is_well:
            raise ConnectionError("10.0.0.7 refused")


class OwnCheck(Check):
    is_local = True


@pytest.fixture
def check() -> Check:
    return Check()


@asynccontextmanager
async def _client(
    monitor: HealthMonitor, *, details: bool | Callable[[HTTPConnection], bool] = True
) -> AsyncGenerator[AsyncClient]:
    # Nothing but the router: the probes need no layers.
    app = FastAPI(lifespan=monitor.lifespan)
    app.include_router(make_health_router(monitor, details=details))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


async def test_lives_whatever_other_systems_say(check: Check) -> None:
    check.is_well = False

    async with _client(HealthMonitor([check])) as client:
        answer = await client.get("/livez")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_does_not_live_when_the_process_itself_is_broken() -> None:
    own = OwnCheck("threads")
    own.is_well = False

    async with _client(HealthMonitor([CheckRegistration(own, groups=["live"])])) as client:
        answer = await client.get("/livez")

    assert answer.status_code == 503
    assert answer.json()["code"] == "not_alive"
    assert answer.json()["errors"][0]["pointer"] == "#/threads"


async def test_is_ready_when_all_is_well(check: Check) -> None:
    async with _client(HealthMonitor([check])) as client:
        answer = await client.get("/readyz")

    assert answer.json() == {"status": "ok", "checks": {"warehouse": "ok"}}


async def test_is_a_problem_when_something_is_not(check: Check) -> None:
    check.is_well = False

    async with _client(HealthMonitor([check])) as client:
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


async def test_is_ready_and_says_so_when_it_is_degraded(check: Check) -> None:
    check.is_well = False

    monitor = HealthMonitor([CheckRegistration(check, critical=False)])
    async with _client(monitor) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "checks": {"warehouse": "failed"}}


@pytest.mark.parametrize("path", ["/readyz", "/health"])
async def test_names_nothing_where_it_may_not(path: str, check: Check) -> None:
    async with _client(HealthMonitor([check]), details=False) as client:
        well = await client.get(path)
        check.is_well = False
    async with _client(HealthMonitor([check]), details=False) as client:
        unwell = await client.get(path)

    assert well.json() == {"status": "ok"}
    assert unwell.status_code == 503
    assert "warehouse" not in unwell.text


async def test_names_checks_to_who_may_know_them(check: Check) -> None:
    def is_operator(connection: HTTPConnection) -> bool:
        return connection.headers.get("x-operator") == "yes"

    async with _client(HealthMonitor([check]), details=is_operator) as client:
        anybody = await client.get("/health")
        operator = await client.get("/health", headers={"X-Operator": "yes"})

    assert anybody.json() == {"status": "ok"}
    assert "warehouse" in operator.json()["checks"]


async def test_never_shows_the_text_of_an_error(check: Check) -> None:
    check.is_well = False

    async with _client(HealthMonitor([check])) as client:
        answers = [await client.get(path) for path in PROBES]

    assert not any("10.0.0.7" in answer.text for answer in answers)


async def test_health_tells_operators_what_is_known(check: Check) -> None:
    check.is_well = False

    async with _client(HealthMonitor([check])) as client:
        answer = await client.get("/health")

    found = answer.json()["checks"]["warehouse"]
    assert answer.status_code == 503
    assert answer.json()["status"] == "down"
    assert found.keys() == {
        "status",
        "critical",
        "failures",
        "fault",
        "checked_at",
        "duration_ms",
    }
    assert (found["status"], found["fault"]) == ("failed", "ConnectionError")


async def test_health_is_asked_for_by_group(check: Check) -> None:
    mail = Check("mail")
    mail.is_well = False
    groups = [HealthGroup(name="shop", include=["warehouse"])]

    async with _client(HealthMonitor([check, mail], groups=groups)) as client:
        shop = await client.get("/health/shop")
        unknown = await client.get("/health/<script>")

    assert shop.json()["checks"].keys() == {"warehouse"}
    assert shop.status_code == 200
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_health_group")
    assert unknown.json()["instance"] == "/health/%3Cscript%3E"


async def test_is_not_ready_while_it_drains() -> None:
    availability = Availability()
    monitor = HealthMonitor(availability=availability)

    async with _client(monitor) as client:
        before = await client.get("/readyz")
        availability.begin_draining()
        after = await client.get("/readyz")
        alive = await client.get("/livez")

    assert before.status_code == 200
    assert (after.status_code, after.json()["code"]) == (503, "draining")
    assert alive.status_code == 200


async def test_is_not_ready_while_the_service_refuses_traffic() -> None:
    availability = Availability()
    monitor = HealthMonitor(availability=availability)

    async with _client(monitor) as client:
        with availability.refusing_traffic("importing prices"):
            refused = await client.get("/readyz")
        after = await client.get("/readyz")

    assert (refused.status_code, refused.json()["code"]) == (503, "traffic_refused")
    assert refused.json()["errors"][0]["detail"] == "importing prices"
    assert after.status_code == 200


async def test_says_why_it_refuses_traffic_only_to_who_may_know_it() -> None:
    availability = Availability()
    availability.refuse_traffic("importing prices")

    async with _client(HealthMonitor(availability=availability), details=False) as client:
        refused = await client.get("/readyz")

    assert "importing" not in refused.text


async def test_has_not_started_until_what_it_needs_at_first_has_passed(check: Check) -> None:
    check.is_well = False
    monitor = HealthMonitor([CheckRegistration(check, groups=["startup"])])

    async with _client(monitor) as client:
        before = await client.get("/startupz")
        check.is_well = True
        await monitor.refresh()
        after = await client.get("/startupz")

    assert (before.status_code, before.json()["code"]) == (503, "not_ready")
    assert (after.status_code, after.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", PROBES)
async def test_answers_are_kept_by_nobody(path: str, check: Check) -> None:
    async with _client(HealthMonitor([check])) as client:
        answer = await client.get(path)

    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", PROBES)
async def test_can_be_asked_without_a_body(path: str, check: Check) -> None:
    async with _client(HealthMonitor([check])) as client:
        answer = await client.head(path)

    assert answer.status_code == 200


async def test_is_in_no_documentation(check: Check) -> None:
    async with _client(HealthMonitor([check])) as client:
        document = await client.get("/openapi.json")

    assert document.json()["paths"] == {}


async def test_many_probes_at_once_ask_once(check: Check) -> None:
    runs = 0

    class Counted:
        name = "counted"

        async def check(self) -> None:
            nonlocal runs
            runs += 1
            await asyncio.sleep(0)

    async with _client(HealthMonitor([Counted()])) as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(200)))

    assert {answer.status_code for answer in answers} == {200}
    assert runs == 1
