import os
import re
import signal
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from fastapi_baseline.testing import ServerProcess, uvicorn_server

WORKERS = 4
KILLS = 5
REQUESTS = 60

Ask = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "counts"


@pytest.fixture
def service(folder: Path) -> Generator[ServerProcess]:
    with uvicorn_server(
        "metered:app",
        arguments=("--workers", str(WORKERS)),
        env={"PROMETHEUS_MULTIPROC_DIR": str(folder)},
        cwd=Path(__file__).parent,
    ) as service:
        yield service


def _work(service: ServerProcess) -> int | None:
    """Have one request answered over a connection of its own, and return by whom."""
    try:
        response = httpx2.get(f"{service.base_url}/api/tasks/a", timeout=30)
    except httpx2.TransportError:
        return None  # It waited to be accepted by a process that was killed.
    return response.json() if response.status_code == 200 else None


def _work_at_once(service: ServerProcess) -> list[int]:
    """Have many requests answered at the same time, and return by whom those that were."""
    with ThreadPoolExecutor(8) as pool:
        return [pid for pid in pool.map(_work, [service] * REQUESTS) if pid]


def _metrics(service: ServerProcess) -> str:
    return httpx2.get(f"{service.base_url}/metrics", timeout=30).text


def _sample(text: str, name: str, **labels: str) -> float:
    """Return the sum of the samples with that name and those labels."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.MULTILINE)
    wanted = [f'{key}="{value}"' for key, value in labels.items()]
    return sum(float(value) for has, value in found if all(label in has for label in wanted))


def _completed(text: str) -> float:
    name = "http_server_request_duration_seconds_count"
    return _sample(text, name, http_route="/api/tasks/{name}")


@contextmanager
def _held(service: ServerProcess) -> Generator[int]:
    """Have a request answered that never ends, and give the process that answers it."""
    with (
        httpx2.Client() as client,
        client.stream("GET", f"{service.base_url}/api/hold", timeout=30) as response,
    ):
        # Named, since a connection is closed with the iterator that reads from it.
        lines = response.iter_lines()
        yield int(next(lines))


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_loses_no_count_and_leaves_no_file_when_workers_are_killed(
    service: ServerProcess, folder: Path, eventually: Ask
) -> None:
    completed = 0
    seen: set[int] = set()

    def let_all_work() -> None:
        """Have requests answered until every worker that lives has answered one."""
        nonlocal completed
        living = eventually(lambda: _living(service, folder))
        while not living <= seen:
            answers = _work_at_once(service)
            completed += len(answers)
            seen.update(answers)

    let_all_work()
    files = _files(folder)
    for _ in range(KILLS):
        # Whatever a client has got, to the last byte, is counted.
        assert _completed(_metrics(service)) == completed
        with _held(service) as pid:
            eventually(lambda: _sample(_metrics(service), "http_server_active_requests") == 1)
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: pid not in _pids(folder))
        let_all_work()

    assert _completed(_metrics(service)) == completed
    assert _sample(_metrics(service), "http_server_active_requests") == 0
    assert _files(folder) == files
    assert len([name for name in files if name.startswith("slot")]) == WORKERS
    assert len(seen) == WORKERS + KILLS


def _pids(folder: Path) -> set[int]:
    return {int(path.read_text() or "0") for path in folder.glob("slot*.lock")}


def _living(service: ServerProcess, folder: Path) -> set[int] | None:
    """Return the workers once all live, each with a slot of its own."""
    living = _sample(_metrics(service), "build_info")
    processes = _metrics(service).count("\nprocess_start_time_seconds{")
    return _pids(folder) if living == 1 and processes == WORKERS else None
