"""A service whose routes have limits of their own."""

import asyncio
from datetime import timedelta

from fastapi import APIRouter, Depends, Request, UploadFile
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings, context, create_app

# <start-import>
from fastapi_baseline.middleware.deadline import deadline

# <end-import>

app = create_app(
    Settings.model_validate(
        {"environment": "test", "requests": {"max_body_size": 1_000, "timeout": 0.2}}
    ),
    configure_logging=False,
)


# <start-size>
@app.post("/scans", max_body_size=50 * 1024 * 1024)
async def add_scan(file: UploadFile) -> int:
    """Take a file of up to 50 MiB."""
    return len(await file.read())


# <end-size>
# <start-deadline>
reports = APIRouter(prefix="/reports", dependencies=[Depends(deadline(timedelta(minutes=5)))])


@reports.post("")
async def make_report() -> str:
    """Take up to five minutes."""
    await asyncio.sleep(0.3)
    return "made"


@reports.get("/latest", dependencies=[Depends(deadline(timedelta(seconds=2)))])
async def show_latest_report() -> str:
    """Take up to two seconds, whatever the router says."""
    return "made"


app.include_router(reports)
# <end-deadline>


# <start-remaining>
@app.get("/prices")
async def list_prices() -> list[str]:
    """Ask the other service only if there is time for its answer."""
    left = context.remaining_time()
    if left is not None and left < timedelta(seconds=1):
        return ["yesterday's"]
    return await ask_the_other_service(timeout=left)


# <end-remaining>


async def ask_the_other_service(*, timeout: timedelta | None) -> list[str]:  # noqa: ASYNC109 -- handed on
    """Ask."""
    return [f"today's, within {timeout}"]


@app.post("/letters")
async def add_letter(request: Request) -> int:
    """Take what the settings allow."""
    return len(await request.body())


async def _post(path: str, size: int) -> int:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.post(path, files={"file": b"x" * size})
        return answer.status_code


async def test_lets_one_route_take_more() -> None:
    assert await _post("/scans", 100_000) == 200
    assert await _post("/letters", 100_000) == 413


async def test_lets_one_router_take_longer() -> None:
    assert await _post("/reports", 1) == 200


async def test_says_what_time_is_left() -> None:
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        prices = await client.get("/prices")
        latest = await client.get("/reports/latest")

    assert prices.json() == ["yesterday's"]
    assert latest.json() == "made"
