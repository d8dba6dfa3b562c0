import contextlib
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Generator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing.services import Services, kept_services, write_variables

AskRedis = Callable[..., object]

OWNER = """
import sys
from pathlib import Path
from fastapi_baseline.testing.services import kept_services

with kept_services(Path(sys.argv[1]), has_postgres=False) as services:
    print(services.redis_url, flush=True)
    sys.stdin.read()
"""


def ask(services: Services, statement: str) -> object:
    assert services.database_url is not None
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else None


def port_of(url: str | None) -> int | None:
    return urlsplit(url or "").port


def listening(url: str | None) -> list[int]:
    """Return the Redis servers that have the port of a URL."""
    found: list[int] = []
    for process in psutil.process_iter():
        # It has ended meanwhile.
        with contextlib.suppress(psutil.Error):
            # That is what it calls itself once it listens.
            if process.cmdline()[:1] and process.cmdline()[0].endswith(f":{port_of(url)}"):
                found.append(process.pid)
    return found


@pytest.fixture
def owner(tmp_path: Path) -> Generator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path / "kept"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_keeps_what_is_in_a_database_and_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with kept_services(folder, has_redis=False) as first:
        ask(first, "CREATE TABLE note (body text)")
        ask(first, "INSERT INTO note VALUES ('kept')")

    with kept_services(folder, has_redis=False) as second:
        found = ask(second, "SELECT body FROM note")

    assert found == [("kept",)]
    assert second == first
    assert second.redis_url is None


def test_makes_a_cluster_anew_that_was_not_finished(tmp_path: Path) -> None:
    data = tmp_path / "kept/postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18")
    (tmp_path / "kept/postgres.unfinished").touch()

    with kept_services(tmp_path / "kept", has_redis=False) as services:
        answer = ask(services, "SELECT 1")

    assert answer == [(1,)]
    assert not (tmp_path / "kept/postgres.unfinished").exists()


def test_keeps_what_is_in_redis_and_where_it_is(tmp_path: Path, ask_redis: AskRedis) -> None:
    with kept_services(tmp_path / "kept", has_postgres=False) as first:
        ask_redis(str(first.redis_url), "SET", "note", "kept")

    with kept_services(tmp_path / "kept", has_postgres=False) as second:
        found = ask_redis(str(second.redis_url), "GET", "note")

    assert found == b"kept"
    assert second == first
    assert second.database_url is None


def test_only_the_owner_reads_passwords_and_git_reads_nothing(tmp_path: Path) -> None:
    with kept_services(tmp_path / "kept", has_postgres=False):
        pass

    mode = stat.S_IMODE((tmp_path / "kept/servers.json").stat().st_mode)
    assert mode == 0o600
    assert (tmp_path / "kept/.gitignore").read_text() == "*\n"


def test_refuses_a_second_owner(tmp_path: Path, owner: "subprocess.Popen[str]") -> None:
    assert owner.stdout is not None
    owner.stdout.readline()

    with (
        pytest.raises(ConfigurationError, match=rf"run already, for process {owner.pid}: end it"),
        kept_services(tmp_path / "kept", has_postgres=False),
    ):
        pass


def test_leaves_no_server_behind_when_its_owner_is_killed(
    tmp_path: Path, owner: "subprocess.Popen[str]"
) -> None:
    assert owner.stdout is not None
    url = owner.stdout.readline().strip()
    (server,) = listening(url)
    owner.send_signal(signal.SIGKILL)
    owner.wait()

    with kept_services(tmp_path / "kept", has_postgres=False) as services:
        successor = listening(services.redis_url)

    assert not psutil.pid_exists(server)
    assert len(successor) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says where a process works")
def test_waits_for_a_server_that_works_in_its_folder_still(
    tmp_path: Path, owner: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert owner.stdout is not None
    (server,) = listening(owner.stdout.readline().strip())
    # Frozen, it hears neither its supervisor nor the kernel that speaks for it.
    process = psutil.Process(server)
    process.suspend()
    supervisor = process.parent()
    assert supervisor is not None
    owner.kill()
    owner.wait()
    supervisor.kill()
    monkeypatch.setattr("fastapi_baseline.testing.services._PATIENCE", timedelta(seconds=1))

    with kept_services(tmp_path / "kept", has_postgres=False) as services:
        successor = listening(services.redis_url)

    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert len(successor) == 1


def test_says_that_what_it_has_kept_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "servers.json").write_text("{")

    with (
        pytest.raises(ConfigurationError, match=r"servers\.json cannot be read\. Without"),
        kept_services(tmp_path, has_postgres=False),
    ):
        pass


def test_says_that_its_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()

    with (
        pytest.raises(ConfigurationError, match="kept cannot be written"),
        kept_services(tmp_path / "kept", has_postgres=False),
    ):
        pass


def test_takes_another_port_when_the_former_is_in_use(tmp_path: Path) -> None:
    with kept_services(tmp_path / "one", has_postgres=False) as one:
        taken = port_of(one.redis_url)
        known = {"redis": {"password": "open", "port": str(taken)}}
        (tmp_path / "two").mkdir()
        (tmp_path / "two/servers.json").write_text(json.dumps(known))

        with kept_services(tmp_path / "two", has_postgres=False) as two:
            port = port_of(two.redis_url)

    assert port not in {None, taken}


def test_writes_variables_that_only_their_owner_can_read(tmp_path: Path) -> None:
    write_variables(tmp_path / "env", {"REDIS_URL": "redis://:open@127.0.0.1:6379/0"})

    assert (tmp_path / "env").read_text() == "REDIS_URL=redis://:open@127.0.0.1:6379/0\n"
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600
