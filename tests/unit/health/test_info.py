import platform
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from pydantic import SecretStr

from fastapi_baseline import Settings, __version__
from fastapi_baseline.health import make_info_router
from fastapi_baseline.health.info import fingerprint
from fastapi_baseline.testing import ManualClock


class OwnSettings(Settings):
    api_key: SecretStr = SecretStr("")
    colour: str = "blue"


async def test_says_which_service_this_is_and_since_when() -> None:
    clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
    app = FastAPI()
    settings = Settings(service_name="orders", environment="test")
    app.include_router(
        make_info_router(
            settings,
            version="1.2.3",
            commit="abc123",
            built_at=datetime(2026, 4, 30, tzinfo=UTC),
            clock=clock,
        )
    )
    clock.advance(timedelta(seconds=90))

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/info")

    assert answer.json() == {
        "service": "orders",
        "environment": "test",
        "version": "1.2.3",
        "commit": "abc123",
        "built_at": "2026-04-30T00:00:00+00:00",
        "python": platform.python_version(),
        "fastapi_baseline": __version__,
        "settings": fingerprint(settings),
        "started_at": "2026-05-01T00:00:00+00:00",
        "uptime_s": 90.0,
    }


async def test_does_not_make_up_what_it_was_not_told() -> None:
    app = FastAPI()
    app.include_router(make_info_router(Settings(), version="1.2.3"))

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answer = await client.get("/info")

    assert answer.json()["commit"] is None
    assert answer.json()["built_at"] is None


def test_the_fingerprint_differs_with_the_settings_and_not_with_secrets() -> None:
    plain = fingerprint(OwnSettings())

    assert plain == fingerprint(OwnSettings())
    assert plain != fingerprint(OwnSettings(colour="red"))
    assert fingerprint(OwnSettings(api_key=SecretStr("a"))) == fingerprint(
        OwnSettings(api_key=SecretStr("b"))
    )
