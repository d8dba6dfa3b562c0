import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from uvicorn import Config

from fastapi_baseline.cli.workers import (
    LEVELS_VARIABLE,
    METRICS_VARIABLE,
    Workers,
    shared_levels,
    shared_metrics,
    without_shared_metrics,
)

CallProcess = Callable[..., "subprocess.CompletedProcess[str]"]


def named() -> str | None:
    return os.environ.get(METRICS_VARIABLE)  # noqa: TID251 -- what is tested


def test_workers_count_together_in_a_folder_that_lasts_as_long_as_they(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(METRICS_VARIABLE, raising=False)

    with shared_metrics() as folder:
        (folder / "counter_0.db").touch()
        shared = named()

    assert shared == str(folder)
    assert not folder.exists()
    assert named() is None


def test_a_folder_that_is_named_is_made_and_emptied_of_former_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(METRICS_VARIABLE, str(tmp_path / "metrics"))
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/counter_0.db").touch()
    (tmp_path / "metrics/readme.txt").touch()

    with shared_metrics() as folder:
        found = [path.name for path in folder.iterdir()]

    assert found == ["readme.txt"]
    assert folder.exists()
    assert named() == str(folder)


def test_the_parent_itself_counts_nothing_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(METRICS_VARIABLE, "/metrics")

    with without_shared_metrics():
        inside = named()

    assert inside is None
    assert named() == "/metrics"


def test_nothing_is_shared_where_nothing_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(METRICS_VARIABLE, raising=False)

    with without_shared_metrics():
        pass

    assert named() is None


class Worker:
    """Stands in for a worker: a process that does not hear SIGTERM."""

    def __init__(self) -> None:
        program = "import signal; signal.signal(15, signal.SIG_IGN); print(flush=True); input()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        self.process = self
        self.sentinel = os.pidfd_open(self._process.pid)
        self.exitcode: int | None = None

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def join(self) -> None:
        self.exitcode = self._process.wait()
        os.close(self.sentinel)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@pytest.fixture
def make_workers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Workers]:
    # uvicorn's parent takes all signals of its process; this one is the test's.
    def leave(number: int, handler: object) -> None: ...

    monkeypatch.setattr(signal, "signal", leave)

    def make(*processes: Any, limit: timedelta, sockets: Any = ()) -> Workers:
        workers = Workers(Config("any:app", workers=2), list(sockets), limit=limit)
        workers.processes = list(processes)
        return workers

    return make


def test_ends_workers_that_do_not_stop_in_time(make_workers: Callable[..., Workers]) -> None:
    worker = Worker()
    # The slack that workers have beyond their limit is taken off.
    workers = make_workers(worker, limit=timedelta(seconds=-3))

    workers.join_all()

    assert worker.exitcode == -signal.SIGKILL


def test_ends_workers_at_once_when_it_is_told_twice(make_workers: Callable[..., Workers]) -> None:
    worker = Worker()
    workers = make_workers(worker, limit=timedelta(minutes=5))

    workers.handle_term()
    workers.handle_term()
    workers.join_all()

    assert worker.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_hears_the_second_signal_while_it_waits(
    number: int, make_workers: Callable[..., Workers]
) -> None:
    worker = Worker()
    workers = make_workers(worker, limit=timedelta(minutes=5))

    workers.handle_int()
    workers.signal_queue.append(number)
    workers.join_all()

    assert worker.exitcode == -signal.SIGKILL


def test_lets_workers_stop_by_themselves(make_workers: Callable[..., Workers]) -> None:
    class Stopping(Worker):
        def __init__(self) -> None:
            super().__init__()
            self.was_killed = False

        def kill(self) -> None:
            self.was_killed = True
            super().kill()

        def is_alive(self) -> bool:
            # It ends while it is waited for.
            if self._process.stdin is not None and not self._process.stdin.closed:
                self._process.stdin.close()
            return super().is_alive()

    worker = Stopping()
    workers = make_workers(worker, limit=timedelta(minutes=5))

    workers.handle_term()
    workers.join_all()

    assert not worker.was_killed


def test_closes_its_listening_sockets_while_it_waits(
    make_workers: Callable[..., Workers],
) -> None:
    class Listener:
        is_closed = False

        def close(self) -> None:
            self.is_closed = True

    listener = Listener()

    make_workers(limit=timedelta(0), sockets=[listener]).join_all()

    assert listener.is_closed


def test_exits_with_1_when_workers_cannot_start(service: Path, call_process: CallProcess) -> None:
    (service / "src/echo_service/main.py").write_text(
        "async def app(scope, receive, send):\n"
        "    await receive()\n"
        '    await send({"type": "lifespan.startup.failed"})\n',
        encoding="utf-8",
    )

    result = call_process(["run", "--port", "0", "--workers", "2"], cwd=service)

    assert result.returncode == 1


def levels_file() -> str | None:
    return os.environ.get(LEVELS_VARIABLE)  # noqa: TID251 -- what is tested


def test_names_a_file_in_which_processes_share_levels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LEVELS_VARIABLE, raising=False)

    with shared_levels():
        folder = Path(levels_file() or "").parent
        was_there = folder.is_dir()

    assert was_there
    assert not folder.exists()
    assert levels_file() is None


def test_leaves_the_file_that_the_operator_has_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LEVELS_VARIABLE, "/run/levels.json")

    with shared_levels():
        inside = levels_file()

    assert inside == levels_file() == "/run/levels.json"
