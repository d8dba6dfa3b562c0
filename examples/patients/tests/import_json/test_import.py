"""The import, on both databases."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi_baseline.testing import create_schema, running
from httpx2 import AsyncClient
from pydantic import SecretStr

from patients.import_json.command import main
from patients.main import make_app
from patients.settings import Settings

SERVICE = Path(__file__).parents[2]
DATA = SERVICE / "tests/data/patients_db.json"
EXPECTED = json.loads((SERVICE / "tests/data/patients_db.expected.json").read_text("utf-8"))
IMPORT = (sys.executable, "-m", "patients.import_json")


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a run of the command has left behind."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
async def environment(
    database_url: str, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """Set the environment of a service whose tables are made."""
    async with running(app):
        await create_schema(app)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("ENVIRONMENT", "test")
    return {**os.environ}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return what runs the command in this process, which is faster than in one of its own."""

    def run(*arguments: str | Path) -> Done:
        capsys.readouterr()
        # In a thread of its own, since the command starts an event loop and the test has one.
        with ThreadPoolExecutor(max_workers=1) as pool:
            code = pool.submit(exit_code, [*map(str, arguments)]).result()
        out, err = capsys.readouterr()
        return Done(returncode=code, stdout=out, stderr=err)

    return run


def exit_code(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as exit_:
        return int(exit_.code or 0)


def write(path: Path, patients: list[Any]) -> Path:
    path.write_text(json.dumps({"patients": patients}), encoding="utf-8")
    return path


async def stored(environment: dict[str, str]) -> list[dict[str, Any]]:
    app = make_app(Settings(database_url=SecretStr(environment["DATABASE_URL"])))
    async with running(app) as client:
        return (await client.get("/patients")).json()


async def test_reports_exactly_what_is_expected_of_the_data(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"

    done = run(DATA, "--report", report)

    assert done.returncode == 1
    assert done.stderr == ""
    assert "1,000 records: 984 imported, 2 skipped, 14 failed" in done.stdout
    assert json.loads(report.read_text("utf-8")) == EXPECTED
    # As pathlib's own listing may not be called in a coroutine.
    assert [name for name in os.listdir(tmp_path) if "report" in name] == ["report.json"]  # noqa: PTH208


async def test_every_imported_record_reads_back_as_it_was(
    run: Run, environment: dict[str, str]
) -> None:
    run(DATA)

    refused = {record["index"] for record in EXPECTED["records"]}
    source = json.loads(DATA.read_text("utf-8"))["patients"]
    valid = [record for index, record in enumerate(source) if index not in refused]
    app = make_app(Settings(database_url=SecretStr(environment["DATABASE_URL"])))
    async with running(app) as client:
        assert (await client.get("/patients")).json() == valid
        for record in valid[::40]:
            assert (await client.get(f"/patients/{record['id']}")).json() == record


async def test_a_second_run_imports_nothing_twice(
    run: Run, environment: dict[str, str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    run(DATA)

    again = run(DATA, "--report", report)

    assert again.returncode == 1
    assert "1,000 records: 0 imported, 986 skipped, 14 failed" in again.stdout
    numbers = json.loads(report.read_text("utf-8"))
    assert {key: numbers[key] for key in ("total", "imported", "skipped", "failed")} == {
        "total": 1000,
        "imported": 0,
        "skipped": 986,
        "failed": 14,
    }
    assert [record["index"] for record in numbers["records"]] == [*range(1000)]
    assert len(await stored(environment)) == 984


async def test_a_run_that_was_killed_is_finished_by_the_next(
    run: Run, environment: dict[str, str], tmp_path: Path, ada: dict[str, Any]
) -> None:
    patients = [{**ada, "id": f"id{n}", "patientID": f"P{n}"} for n in range(6_000)]
    file = write(tmp_path / "db.json", patients)
    content = file.read_text("utf-8")

    # Through a pipe that falls silent after the half of it, so that the kill is in the middle.
    process = subprocess.Popen(  # noqa: ASYNC220 -- it is killed, not awaited
        [*IMPORT, "/dev/stdin"], env=environment, stdin=subprocess.PIPE
    )
    with process, process.stdin or pytest.fail("no pipe") as pipe:
        pipe.write(content[: content.index('"id": "id3000"')].encode())
        pipe.flush()
        await until_stored(environment, 3_000)
        process.kill()
    before = await stored(environment)
    finished = run(file)

    assert len(before) == 3_000
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert await stored(environment) == patients


async def until_stored(environment: dict[str, str], number: int) -> None:
    app = make_app(Settings(database_url=SecretStr(environment["DATABASE_URL"])))
    async with running(app) as client:
        while await count(client) < number:
            pass


async def count(client: AsyncClient) -> int:
    response = await client.get("/patients?_limit=1")
    return int(response.headers["x-total-count"])


async def test_skips_what_is_stored_already_without_refusing_it(
    run: Run, environment: dict[str, str], tmp_path: Path, ada: dict[str, Any]
) -> None:
    file = write(tmp_path / "db.json", [{**ada, "id": "a"}, {**ada, "patientID": "P2"}])

    first = run(file)
    second = run(file)
    changed = run(write(file, [{**ada, "id": "a", "age": 37}]))

    assert (first.returncode, second.returncode, changed.returncode) == (0, 0, 1)
    assert "2 records: 0 imported, 2 skipped, 0 failed" in second.stdout
    assert "another patient has this patientID" in changed.stdout


async def test_refuses_an_id_that_is_taken(
    run: Run, environment: dict[str, str], tmp_path: Path, ada: dict[str, Any]
) -> None:
    patients = [{**ada, "id": "a"}, {**ada, "id": "a", "patientID": "P2"}, {**ada, "id": 3}]
    report = tmp_path / "report.json"

    done = run(write(tmp_path / "db.json", patients), "--report", report)

    assert done.returncode == 1
    assert json.loads(report.read_text("utf-8"))["records"] == [
        {"index": 1, "outcome": "failed", "field": "id"},
        {"index": 2, "outcome": "failed", "field": "id"},
    ]


async def test_stores_what_comes_before_a_fault_in_the_file(
    run: Run, environment: dict[str, str], tmp_path: Path, ada: dict[str, Any]
) -> None:
    file = write(tmp_path / "db.json", [{**ada, "patientID": f"P{n}"} for n in range(700)])
    report = tmp_path / "report.json"
    file.write_text(file.read_text("utf-8").removesuffix("]}") + ", {oops", encoding="utf-8")

    done = run(file, "--report", report)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"error: {file}: not valid JSON near byte ")
    assert json.loads(report.read_text("utf-8"))["imported"] == 700
    assert len(await stored(environment)) == 700


async def test_shows_strange_names_of_fields_and_only_the_first_refusals(
    run: Run, environment: dict[str, str], tmp_path: Path, ada: dict[str, Any]
) -> None:
    patients = [{**ada, "\x1b[31m": n} for n in range(29)]

    done = run(write(tmp_path / "db.json", [{**ada, "\ud800": 1}, *patients]))

    assert done.returncode == 1
    assert "(record)" in done.stdout
    assert r"\u001b[31m" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stdout.splitlines()[-1].strip().startswith("and 10 more; --report")


def test_takes_the_same_memory_for_a_file_of_any_size(tmp_path: Path, ada: dict[str, Any]) -> None:
    peaks = [peak_memory(tmp_path / f"{size}", size, ada) for size in (3_000, 40_000)]

    assert peaks[1] - peaks[0] < 16 * 2**20


def peak_memory(folder: Path, size: int, ada: dict[str, Any]) -> int:
    """Return the most memory that an import of so many records takes, in bytes.

    All of them are refused, since that is what a report could be tempted to keep.
    """
    folder.mkdir()
    text = "x" * 500
    file = write(
        folder / "db.json", [{**ada, "age": 0, "name": f"{n} {text}"} for n in range(size)]
    )
    sqlite3.connect(folder / "patients.db").executescript("CREATE TABLE patient (id)").close()
    # Linux counts what the parent used into the peak of `getrusage`, but not into this one.
    program = (
        "import re; from pathlib import Path; from patients.import_json.command import main;"
        f"main([{str(file)!r}, '--report', {str(folder / 'report.json')!r}]);"
        "print(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "DATABASE_URL": f"sqlite:///{folder}/patients.db"},
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert json.loads((folder / "report.json").read_text("utf-8"))["failed"] == size
    return int(done.stdout.splitlines()[-1]) * 1024


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "required: FILE"),
        (("nothing.json",), "nothing.json: No such file or directory"),
        ((".",), ".: Is a directory"),
        ((str(DATA), "--report", "/nowhere/report.json"), "report.json.partial: No such file"),
        ((str(DATA), "--nonsense"), "unrecognized arguments: --nonsense"),
    ],
)
def test_says_what_is_wrong_with_the_command_line(
    run: Run,
    arguments: tuple[str, ...],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/t.db")

    done = run(*arguments)

    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sqlite:///{folder}/empty.db", "run 'baseline db upgrade' first"),
        ("postgresql://nobody:secret@127.0.0.1:1/nothing", "error: "),
        ("oracle://u:secret@host/x", "error: "),
    ],
)
def test_says_in_one_line_what_is_wrong_with_the_database(
    run: Run, url: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url.format(folder=tmp_path))

    done = run(DATA)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert complaint in done.stderr
    assert "secret" not in done.stderr + done.stdout


def test_teaches_how_it_is_used(
    run: Run,
) -> None:
    done = run("--help")

    assert done.returncode == 0
    for word in ("DATABASE_URL", "baseline db upgrade", "exit codes", "--report report.json"):
        assert word in done.stdout
