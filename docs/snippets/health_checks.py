"""Checks of a service, and what they decide."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from ssl import SSLCertVerificationError

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient

from fastapi_baseline import Settings, UnavailableError, create_app
from fastapi_baseline.health import CheckRegistration, CurrentAvailability, DiskSpaceCheck
from fastapi_baseline.testing import running


# <start-check>
class SearchIndex:
    """The index that the service searches, as a check."""

    name = "search"

    def __init__(self) -> None:
        self.is_open = True

    async def check(self) -> None:
        """Return if the index answers, and raise otherwise."""
        if not self.is_open:
            raise UnavailableError("The index is closed.")


# <end-check>
# <start-registration>
class BankCertificate:
    """The certificate that the bank knows us by."""

    name = "bank_certificate"

    async def check(self) -> None:
        """Raise when it is about to expire."""
        raise SSLCertVerificationError


def make_checks(index: SearchIndex) -> list[CheckRegistration]:
    """Return what this service depends on."""
    return [
        CheckRegistration(index, timeout=timedelta(seconds=1)),
        CheckRegistration(DiskSpaceCheck("/tmp", minimum_free_bytes=1_000)),  # noqa: S108
        CheckRegistration(BankCertificate(), critical=False, interval=timedelta(hours=1)),
    ]


# <end-registration>
# <start-app>
def make_app(index: SearchIndex) -> FastAPI:
    """Build the application."""
    return create_app(Settings.load(), checks=make_checks(index))


# <end-app>
# <start-availability>
async def import_prices(availability: CurrentAvailability) -> None:
    """Load the prices anew; meanwhile other processes answer."""
    with availability.refusing_traffic("importing prices"):
        ...  # it takes all the processor


# <end-availability>
@pytest.fixture
def index() -> SearchIndex:
    return SearchIndex()


@asynccontextmanager
async def service(index: SearchIndex) -> AsyncGenerator[AsyncClient]:
    settings = Settings(environment="test")
    app = create_app(settings, checks=make_checks(index), configure_logging=False)
    app.add_api_route("/imports", import_prices, methods=["POST"])
    async with running(app) as client:
        yield client


async def test_is_ready_and_degraded(index: SearchIndex) -> None:
    async with service(index) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "degraded",
        "checks": {"search": "ok", "disk_space": "ok", "bank_certificate": "failed"},
    }


async def test_is_not_ready_without_its_index(index: SearchIndex) -> None:
    index.is_open = False

    async with service(index) as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["code"] == "not_ready"


async def test_takes_traffic_again_after_an_import(index: SearchIndex) -> None:
    async with service(index) as client:
        await client.post("/imports")

        assert (await client.get("/readyz")).status_code == 200
