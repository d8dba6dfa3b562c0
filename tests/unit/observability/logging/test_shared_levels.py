import multiprocessing
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from fastapi_baseline.observability.logging.shared_levels import Override, SharedLevels

DEBUG = Override(level="DEBUG", until=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "levels.json"


def test_reads_what_it_has_written(file: Path) -> None:
    SharedLevels(file).write({"shop": DEBUG})

    assert SharedLevels(file).read() == {"shop": DEBUG}


def test_is_readable_only_by_its_owner(file: Path) -> None:
    SharedLevels(file).write({"shop": DEBUG})

    assert file.stat().st_mode & 0o777 == 0o600


def test_notices_what_others_write(file: Path) -> None:
    here, there = SharedLevels(file), SharedLevels(file)

    before = here.has_changed()
    there.write({"shop": DEBUG})
    noticed = here.has_changed()
    here.read()

    assert (before, noticed, here.has_changed()) == (False, True, False)


def test_does_not_notice_what_it_has_written_itself(file: Path) -> None:
    shared = SharedLevels(file)

    shared.write({})

    assert not shared.has_changed()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shop": {"level": "LOUD"}}'])
def test_takes_what_it_does_not_understand_for_nothing(
    text: str, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text(text, encoding="utf-8")

    assert SharedLevels(file).read() == {}
    assert "cannot be read" in caplog.text


def _add(file: Path, name: str, together: Barrier) -> None:
    shared = SharedLevels(file)
    together.wait()
    for number in range(100):
        with shared.locked():
            shared.write({**shared.read(), f"{name}.{number}": DEBUG})


def test_processes_lose_nothing_that_others_have_written(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    processes = [context.Process(target=_add, args=(file, name, together)) for name in ("a", "b")]

    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert len(SharedLevels(file).read()) == 200
