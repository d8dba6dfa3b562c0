import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool

from fastapi_baseline.observability.logging import configure_logging
from fastapi_baseline.observability.logging.output import LineOutput
from fastapi_baseline.settings import LogSettings

SOON = timedelta(seconds=30)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_replaces_only_what_it_did_before(capsys: pytest.CaptureFixture[str]) -> None:
    before = list(logging.getLogger().handlers)

    configure_logging(LogSettings(format="console"))
    configure_logging(LogSettings())
    logging.getLogger("shop").info("once")

    assert [line["msg"] for line in lines(capsys)] == ["once"]
    assert [kept for kept in logging.getLogger().handlers if kept in before] == before


def test_writes_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(format="console"))

    logging.getLogger("shop").info("once")

    assert capsys.readouterr().out.endswith("INFO     shop: once\n")


def test_keeps_to_the_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(level="WARNING"))

    logging.getLogger("shop").info("quiet")

    assert lines(capsys) == []


def test_redacts_more_names(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings(redact=("patient_name",)))

    logging.getLogger("shop").info("x", extra={"fields": {"patientName": "Ada"}})

    assert lines(capsys)[0]["patientName"] == "[redacted]"


def test_takes_over_the_lines_of_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler())

    configure_logging(LogSettings())
    server.info("Started")

    written = capsys.readouterr()
    assert json.loads(written.out)["logger"] == "uvicorn.error"
    assert written.err == ""
    assert logging.getLogger("uvicorn.access").disabled


def test_silences_what_the_server_says_about_websockets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(LogSettings())

    server = logging.getLogger("uvicorn.error")
    server.info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", "/ws?key=hunter2")
    server.info("connection open")
    server.info("Shutting down")

    assert [line["msg"] for line in lines(capsys)] == ["Shutting down"]


def test_takes_over_the_lines_of_sqlalchemy(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(LogSettings())

    engine = create_engine("sqlite://", echo=True, echo_pool="debug", poolclass=StaticPool)
    with engine.connect() as connection:
        connection.execute(text("select 1"))
    engine.dispose()

    written = lines(capsys)
    assert "select 1" in [line["msg"] for line in written]
    assert {line["logger"].partition(".")[0] for line in written} == {"sqlalchemy"}


async def test_the_lifespan_lets_lines_wait_only_while_it_lasts() -> None:
    handle = configure_logging(LogSettings())
    (output,) = (kept for kept in logging.getLogger().handlers if isinstance(kept, LineOutput))

    async with handle.make_lifespan(within=SOON)(None):
        is_queueing_inside = output.is_queueing

    assert is_queueing_inside
    assert not output.is_queueing


async def test_all_is_written_when_the_lifespan_ends(capsys: pytest.CaptureFixture[str]) -> None:
    handle = configure_logging(LogSettings())

    async with handle.make_lifespan(within=SOON)(None):
        for number in range(1000):
            logging.getLogger("shop").info("%d", number)
    logging.getLogger("shop").info("last words")

    messages = [line["msg"] for line in lines(capsys)]
    assert messages == [*map(str, range(1000)), "last words"]


async def test_flushes_when_it_is_asked_to(capsys: pytest.CaptureFixture[str]) -> None:
    handle = configure_logging(LogSettings())

    async with handle.make_lifespan()(None):
        logging.getLogger("shop").info("x")
        is_written = handle.flush(SOON)
        written = lines(capsys)

    assert is_written
    assert [line["msg"] for line in written] == ["x"]


def test_says_how_much_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = configure_logging(LogSettings())
    before = handle.dropped
    monkeypatch.setattr("sys.stdout", None)

    logging.getLogger("shop").info("x")

    assert handle.dropped == before + 1


def test_gives_changed_levels_back_when_it_is_called_again() -> None:
    shop = logging.getLogger("tests.configuration.shop")
    configure_logging(LogSettings()).levels.set(shop.name, "DEBUG")

    configure_logging(LogSettings())

    assert shop.level == logging.NOTSET
