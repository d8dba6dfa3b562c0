"""Reports that each caller may ask for so often."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request
from httpx2 import AsyncClient

from fastapi_baseline import Settings, UnauthenticatedError, create_app
from fastapi_baseline.rate_limiting import RateLimiter
from fastapi_baseline.settings import RateLimitSettings
from fastapi_baseline.testing import running

logger = logging.getLogger(__name__)
PLANS = {"Bearer ann": "2/minute", "Bearer bob": "1000/minute"}


def get_account(authorization: Annotated[str | None, Header()] = None) -> str:
    """Return who is asking; a real service checks a token here."""
    if authorization is None:
        raise UnauthenticatedError(challenge="Bearer")
    return authorization


# <start>
limiter = RateLimiter(default_limits=["100/minute"])
router = APIRouter(prefix="/reports")


@router.get("")
async def list_reports() -> list[str]:
    """List them: 100 times a minute, as it declares nothing."""
    return ["sales"]


@router.post("", status_code=202)
@limiter.limit("5/minute; 20/hour", name="reports")
async def make_report() -> str:
    """Make one: 5 times a minute, and 20 times an hour."""
    return "accepted"


@router.get("/manual")
@limiter.exempt
async def read_manual() -> str:
    """Explain: as often as anybody likes."""
    return "A report has lines."


# <end>
# <start-app>
def make_app(settings: Settings) -> FastAPI:
    """Build the service."""
    app = create_app(settings)
    app.state.limiter = limiter
    app.include_router(router)
    app.include_router(plans)
    return app


# <end-app>
# <start-plans>
accounts = RateLimiter(caller=get_account)
plans = APIRouter(prefix="/plans")


async def find_plan(key: str) -> str | None:
    """Return the limit that an account pays for; a real service asks its database."""
    return PLANS.get(key)


@plans.get("/usage", dependencies=[Depends(get_account)])
@accounts.limit(find_plan, name="plan")
async def show_usage() -> str:
    """Show what the plan of the account allows."""
    return "usage"


# <end-plans>
# <start-cost>
def count_rows(request: Request) -> int:
    """Return what a request costs."""
    return int(request.query_params.get("rows", 1))


@plans.get("/export", dependencies=[Depends(get_account)])
@accounts.limit("1000/hour", name="rows", cost=count_rows)
async def export(request: Request, rows: int = 1) -> int:
    """Export rows, and give back what was not found."""
    found = min(rows, 400)
    await accounts.refund(request, rows - found)
    return found


# <end-cost>
# <start-login>
@plans.post("/login")
@limiter.limit(
    "5/15minutes",
    name="login",
    failure_mode="closed",
    count_if=lambda status: status in {401, 403},
)
async def sign_in(password: Annotated[str, Header()]) -> str:
    """Sign in; only failures count, and nobody may try while they cannot be counted."""
    if password != "correct":
        raise UnauthenticatedError(challenge="Basic")
    return "welcome"


# <end-login>
# <start-place>
@plans.get(
    "/search",
    dependencies=[Depends(limiter.require("10/minute", name="search")), Depends(get_account)],
)
async def search() -> str:
    """Search; also who may not is limited, since finding that out costs something."""
    return "found"


@plans.get("/stream", dependencies=[Depends(get_account), Depends(accounts.concurrent(2))])
async def stream() -> str:
    """Send much; two at a time for each account."""
    return "much"


# <end-place>


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    limits = RateLimitSettings(per_address=("1000/minute",))
    app = make_app(Settings(environment="test", rate_limits=limits))
    async with running(app) as client:
        yield client


async def test_the_exchange_of_the_guide(client: AsyncClient) -> None:
    answers = [await client.post("/reports") for _ in range(6)]
    free = [await client.get("/reports/manual") for _ in range(3)]

    assert answers[0].status_code == 202
    assert answers[0].headers["RateLimit-Policy"] == (
        '"address";q=1000;w=60, "reports-minute";q=5;w=60, "reports-hour";q=20;w=3600'
    )
    assert answers[0].headers["RateLimit"] == (
        '"address";r=999;t=1, "reports-minute";r=4;t=12, "reports-hour";r=19;t=180'
    )
    assert answers[5].status_code == 429
    assert answers[5].headers["Retry-After"] == "12"
    assert answers[5].json()["violated-policies"] == ["reports-minute"]
    assert {answer.status_code for answer in free} == {200}


async def test_a_plan_says_how_much(client: AsyncClient) -> None:
    ann, bob = {"Authorization": "Bearer ann"}, {"Authorization": "Bearer bob"}

    seen = [(await client.get("/plans/usage", headers=ann)).status_code for _ in range(3)]
    other = await client.get("/plans/usage", headers=bob)

    assert seen == [200, 200, 429]
    assert '"plan";q=1000' in other.headers["RateLimit-Policy"]


async def test_a_request_may_cost_more_and_less(client: AsyncClient) -> None:
    headers = {"Authorization": "Bearer ann"}

    seen = [
        (await client.get("/plans/export?rows=900", headers=headers)).status_code for _ in range(2)
    ]

    assert seen == [200, 429]
    assert (await client.get("/plans/export?rows=500", headers=headers)).status_code == 200


async def test_failures_are_counted(client: AsyncClient) -> None:
    right, wrong = {"password": "correct"}, {"password": "wrong"}

    good = [(await client.post("/plans/login", headers=right)).status_code for _ in range(7)]
    bad = [(await client.post("/plans/login", headers=wrong)).status_code for _ in range(6)]

    assert good == [200] * 7
    assert bad == [401] * 5 + [429]


async def test_a_limit_has_its_place(client: AsyncClient) -> None:
    seen = [(await client.get("/plans/search")).status_code for _ in range(11)]
    stream = await client.get("/plans/stream", headers={"Authorization": "Bearer ann"})

    assert seen == [401] * 10 + [429]
    assert '"concurrent-requests";r=1' in stream.headers["RateLimit"]
