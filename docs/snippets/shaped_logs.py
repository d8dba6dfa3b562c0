"""Lines with fields, and what is left out of them."""

import json
import logging
from datetime import timedelta

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from fastapi_baseline import Settings, context, create_app
from fastapi_baseline.settings import LogSettings
from fastapi_baseline.testing import running

# <start>
logger = logging.getLogger(__name__)


def add_routes(app: FastAPI) -> None:
    """Take orders, and say so."""

    @app.post("/orders/{number}")
    async def add_order(number: int) -> None:
        logger.info("Taken", extra={"fields": {"order": number, "card_token": "4f1a"}})
        request = context.current()
        if request is not None:
            request.fields["order"] = number


# <end>
# <start-settings>
settings = Settings(
    environment="test",
    log=LogSettings(
        level="INFO",
        format="json",
        redact=("national_id", "iban"),
        slow_request=timedelta(milliseconds=500),
        success_ratio=1.0,
        queue_size=10_000,
    ),
)
# <end-settings>


async def test_lines_have_fields_and_no_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    app = create_app(settings)
    add_routes(app)

    async with (
        running(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://t") as client,
    ):
        await client.post("/orders/7?iban=DE02", headers={"X-Request-ID": "an-order-of-mine"})

    written = capsys.readouterr().out.splitlines()
    lines = [line for line in map(json.loads, written) if "order" in line]
    taken, access = lines
    assert (taken["msg"], taken["order"], taken["card_token"]) == ("Taken", 7, "[redacted]")
    assert (access["msg"], access["order"], access["status"]) == ("POST /orders/7 200", 7, 200)
    assert taken["request_id"] == access["request_id"] == "an-order-of-mine"
    assert "DE02" not in "".join(written)
