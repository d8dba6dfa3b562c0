import os
import signal
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing.runs import Account, Run, ServerAddress, ServerPlan, Workspace

SERVER = ("/bin/sh", "-c", "echo ready; exec sleep 600")


@pytest.fixture
def run() -> Generator[Run]:
    run = Run.start()
    yield run
    run.close()


def start(run: Run, *command: str) -> ServerAddress:
    def plan(space: Workspace) -> ServerPlan:
        return ServerPlan(command=command, ready="ready", stop=[signal.SIGTERM])

    return run.server("echo", plan)


def test_starts_a_server_once(run: Run) -> None:

    first = start(run, *SERVER)
    second = start(run, "/bin/false")

    run.close()
    assert first == second
    assert not psutil.pid_exists(first.pid)


def test_shows_the_last_words_of_a_server_that_does_not_start(run: Run) -> None:

    with pytest.raises(ConfigurationError, match=r"sh did not start:\nno room left"):
        start(run, "/bin/sh", "-c", "echo no room left; exit 3")

    run.close()
    assert not run.folder.exists()


def test_shows_the_last_words_of_a_failed_preparation(run: Run) -> None:
    fail = ["/bin/sh", "-c", "echo cannot prepare; exit 3"]

    with pytest.raises(ConfigurationError, match=r"sh failed:\ncannot prepare"):
        run.server(
            "echo",
            lambda space: ServerPlan(command=["/bin/true"], ready="", stop=[], prepare=[fail]),
        )

    run.close()


def test_says_that_a_program_does_not_exist(run: Run) -> None:

    with pytest.raises(ConfigurationError, match="no/such/program"):
        start(run, "/no/such/program")

    run.close()


def test_leaves_nothing_of_a_plan_that_failed(run: Run) -> None:
    def plan(space: Workspace) -> ServerPlan:
        raise ConfigurationError(f"no {space.folder.name} today")

    with pytest.raises(ConfigurationError, match="no echo today"):
        run.server("echo", plan)

    assert not (run.folder / "echo").exists()


def test_can_be_closed_twice() -> None:
    run = Run.start()

    run.close()
    run.close()

    assert not run.folder.exists()


def test_can_start_a_server_after_one_that_failed(run: Run) -> None:
    with pytest.raises(ConfigurationError):
        start(run, "/bin/false")

    address = start(run, *SERVER)

    assert psutil.pid_exists(address.pid)
    run.close()


def test_tries_another_port_when_the_first_is_taken(run: Run) -> None:
    # Each attempt leaves a line behind: the third one succeeds.
    script = "echo {port} >> ports; [ $(wc -l < ports) = 3 ] || exit 1; echo ready; exec sleep 600"

    address = start(run, "/bin/sh", "-c", script)

    ports = (run.folder / "echo/home/ports").read_text().split()
    run.close()
    assert len(ports) == 3
    assert ports[-1] == str(address.port)


def test_kills_a_server_that_does_not_stop_when_asked_to(run: Run) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    plan = ServerPlan(
        command=["/bin/sh", "-c", script],
        ready="ready",
        stop=[signal.SIGTERM],
        patience=timedelta(milliseconds=100),
    )
    address = run.server("deaf", lambda space: plan)

    run.close()

    assert not psutil.pid_exists(address.pid)


def test_a_server_outlives_a_lease_but_not_the_last_one() -> None:
    owner = Run.start()
    worker = Run.join(owner.folder)
    address = start(worker, *SERVER)
    process = psutil.Process(address.pid)

    worker.close()
    outlived = process.is_running()
    owner.close()

    assert outlived
    assert not process.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_supervisor_that_is_told_to_leave_takes_its_server_along(run: Run, number: int) -> None:
    address = start(run, *SERVER)
    process = psutil.Process(address.pid)

    os.kill(address.supervisor, number)

    process.wait(10)
    run.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_a_server_ends_with_a_supervisor_that_was_killed(run: Run) -> None:
    address = start(run, *SERVER)
    process = psutil.Process(address.pid)

    os.kill(address.supervisor, signal.SIGKILL)

    process.wait(10)
    run.close()


def test_only_its_owner_can_read_the_secrets_of_a_run(run: Run) -> None:
    start(run, *SERVER)

    modes = {path.name: path.stat().st_mode & 0o077 for path in run.folder.glob("*")}

    run.close()
    assert modes.pop("echo") == 0o011
    assert set(modes.values()) == {0}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")
def test_root_makes_its_folder_where_another_user_can_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    run = Run.start()

    run.close()
    assert tmp_path not in run.folder.parents


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes to another user")
def test_root_says_that_there_is_nobody_to_run_a_server_as(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> None:
        raise KeyError(name)

    monkeypatch.setattr("pwd.getpwnam", unknown)

    with pytest.raises(ConfigurationError, match="no user 'nobody'"):
        Account.find()
