import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fastapi_baseline.observability.logging.levels import LogLevels, UnknownLoggerError
from fastapi_baseline.testing import ManualClock

NAME = "tests.levels.shop"
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def shop() -> Iterator[logging.Logger]:
    logger = logging.getLogger(NAME)
    logger.setLevel(logging.NOTSET)
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_changes_the_level_until_it_is_reset(shop: logging.Logger) -> None:
    levels = LogLevels()

    changed = levels.set(NAME, "DEBUG")
    is_debugging = shop.isEnabledFor(logging.DEBUG)
    back = levels.reset(NAME)

    assert is_debugging
    assert (changed.level, changed.effective, changed.is_changed) == ("DEBUG", "DEBUG", True)
    assert (back.level, back.is_changed) == (None, False)
    assert shop.level == logging.NOTSET


def test_gives_the_level_back_when_the_time_is_over(
    shop: logging.Logger, clock: ManualClock
) -> None:
    shop.setLevel(logging.ERROR)
    levels = LogLevels(clock=clock)

    changed = levels.set(NAME, "DEBUG", for_=MINUTE)
    clock.advance(MINUTE - timedelta(seconds=1))
    levels.refresh()
    before = shop.level
    clock.advance(timedelta(seconds=1))
    levels.refresh()

    assert changed.until == clock.now()
    assert before == logging.DEBUG
    assert shop.level == logging.ERROR
    assert not levels.get(NAME).is_changed


def test_a_second_change_replaces_the_first(shop: logging.Logger, clock: ManualClock) -> None:
    levels = LogLevels(clock=clock)

    levels.set(NAME, "DEBUG", for_=MINUTE)
    levels.set(NAME, "WARNING", for_=2 * MINUTE)
    clock.advance(MINUTE)
    levels.refresh()
    in_between = shop.level
    levels.close()

    assert in_between == logging.WARNING
    assert shop.level == logging.NOTSET


def test_knows_the_root() -> None:
    levels = LogLevels()
    root = logging.getLogger()
    before = root.level

    levels.set("root", "CRITICAL")
    changed = root.level
    levels.close()

    assert changed == logging.CRITICAL
    assert root.level == before


def test_makes_no_loggers_for_names_that_it_is_asked_for() -> None:
    levels = LogLevels()

    with pytest.raises(UnknownLoggerError):
        levels.get("tests.levels.nobody")
    with pytest.raises(UnknownLoggerError):
        levels.set("tests.levels.nobody", "DEBUG")
    with pytest.raises(UnknownLoggerError):
        levels.reset("tests.levels.nobody")

    assert "tests.levels.nobody" not in logging.root.manager.loggerDict


def test_takes_only_positive_times() -> None:
    with pytest.raises(ValueError, match="positive"):
        LogLevels().set(NAME, "DEBUG", for_=timedelta(0))


def test_lists_all_with_the_root_first() -> None:
    names = [found.name for found in LogLevels().find_all()]

    assert names[0] == "root"
    assert names[1:] == sorted(names[1:])
    assert NAME in names


def test_processes_that_share_a_file_follow_each_other(
    shop: logging.Logger, clock: ManualClock, tmp_path: Path
) -> None:
    here = LogLevels(file=tmp_path / "levels.json", clock=clock)
    there = LogLevels(file=tmp_path / "levels.json", clock=clock)

    there.set(NAME, "DEBUG", for_=MINUTE)
    shop.setLevel(logging.ERROR)
    here.refresh()
    taken_over = here.get(NAME)
    there.reset(NAME)
    shop.setLevel(logging.DEBUG)
    here.refresh()

    assert (taken_over.level, taken_over.is_changed) == ("DEBUG", True)
    assert taken_over.until == clock.now() + MINUTE
    assert shop.level == logging.ERROR


def test_a_process_that_starts_later_takes_over_what_is_changed(
    shop: logging.Logger, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "levels.json"
    LogLevels(file=file, clock=clock).set(NAME, "DEBUG")
    shop.setLevel(logging.NOTSET)

    levels = LogLevels(file=file, clock=clock)
    levels.watch()
    level = shop.level
    levels.close()

    assert level == logging.DEBUG


def test_two_processes_do_not_forget_what_the_other_has_changed(
    clock: ManualClock, tmp_path: Path
) -> None:
    other = "tests.levels.cart"
    logging.getLogger(other)
    here = LogLevels(file=tmp_path / "levels.json", clock=clock)
    there = LogLevels(file=tmp_path / "levels.json", clock=clock)

    here.set(NAME, "DEBUG")
    there.set(other, "DEBUG")
    here.refresh()
    found = here.get(NAME).is_changed, here.get(other).is_changed
    here.close()
    there.close()

    assert found == (True, True)


def test_changes_this_process_even_if_the_file_cannot_be_written(
    shop: logging.Logger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    levels = LogLevels(file=tmp_path / "missing" / "levels.json")

    levels.set(NAME, "DEBUG")
    level = shop.level
    levels.close()

    assert level == logging.DEBUG
    assert "could not be shared" in caplog.text
