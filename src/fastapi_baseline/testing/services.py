"""PostgreSQL and Redis for development: they come from wheels, and keep their data in a folder.

They are started and stopped as those of a test run are, so that no server outlives the process that
has asked for it, whatever became of that.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.testing import postgres as postgres_wheel
from fastapi_baseline.testing import redis as redis_wheel
from fastapi_baseline.testing.runs import Account, Run, ServerAddress, ServerPlan, Workspace

# Commits survive the end of a process, which is all that a developer may expect.
_POSTGRES = {**postgres_wheel.SETTINGS, "synchronous_commit": "off"}
_REDIS = {"databases": "16", "appendonly": "yes", "appendfsync": "everysec"}
_PATIENCE = timedelta(seconds=30)
_POLL_SECONDS = 0.02
# What they are called; a shell that works in their folders is none of them.
_PROGRAMS = frozenset({"postgres", "redis-server", "valkey-server"})
# A server that may not read the path of the folder in which it works can still name it so.
_WHERE_IT_WORKS = "/proc/self/cwd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The URLs of servers that run; `None` for one that was not asked for."""

    database_url: str | None = field(default=None, repr=False)
    redis_url: str | None = field(default=None, repr=False)


@contextmanager
def kept_services(
    folder: Path, *, has_postgres: bool = True, has_redis: bool = True
) -> Generator[Services]:
    """Start servers whose data is in `folder`, and stop them afterwards.

    They listen on the loopback interface, on the ports that they had before, if those are free.

    Raises:
        MissingExtraError: If the wheel of a server is not installed.
        ConfigurationError: If one does not start, or they run already.
    """
    programs = postgres_wheel.get_programs() if has_postgres else None
    program = redis_wheel.get_program() if has_redis else None
    _make_private(folder)
    with _alone_in(folder) as lock:
        kept = _Kept(folder)
        run = Run.start()
        try:
            database_url = redis_url = None
            with _inherited(lock):
                if programs is not None:
                    database_url = kept.start_postgres(run, programs)
                if program is not None:
                    redis_url = kept.start_redis(run, program)
            yield Services(database_url=database_url, redis_url=redis_url)
        finally:
            run.close()


class _Kept:
    """What a folder keeps of servers besides their data: passwords and ports."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "servers.json"
        self._known: dict[str, dict[str, str]] = {}
        with contextlib.suppress(FileNotFoundError):
            try:
                self._known = json.loads(self._path.read_text(encoding="utf-8"))
            except ValueError as error:
                message = f"{self._path} cannot be read. Without {folder}, all begins anew."
                raise ConfigurationError(message) from error

    def start_postgres(self, run: Run, programs: Path) -> str:
        data = self._make_data("postgres")
        password = self._password("postgres")
        # It is there while the cluster is made: what was begun and not ended is of no use.
        unfinished = self._folder / "postgres.unfinished"
        if unfinished.exists():
            shutil.rmtree(data)
            data = self._make_data("postgres")
        is_new = not any(data.iterdir())
        if is_new:
            unfinished.touch()

        def plan(space: Workspace) -> ServerPlan:
            binaries = postgres_wheel.find_binaries(space, programs)
            where = str(data) if space.account is None else _WHERE_IT_WORKS
            password_file = space.write("password", password)
            initdb = postgres_wheel.make_initdb(
                binaries, where, password_file=password_file, settings={}
            )
            options = [part for item in _POSTGRES.items() for part in ("-c", "=".join(item))]
            return ServerPlan(
                prepare=[initdb] if is_new else [],
                command=[
                    *(str(binaries / "postgres"), "-D", where),
                    *("-p", "{port}", *options),
                ],
                ready=postgres_wheel.READY,
                stop=postgres_wheel.STOPS,
                environment=postgres_wheel.ENVIRONMENT,
                folder=data,
                port=self._port("postgres"),
            )

        address = run.server("postgres", plan)
        unfinished.unlink(missing_ok=True)
        self._remember("postgres", address)
        return f"postgresql://postgres:{password}@127.0.0.1:{address.port}/postgres"

    def start_redis(self, run: Run, program: Path) -> str:
        data = self._make_data("redis")
        password = self._password("redis")

        def plan(space: Workspace) -> ServerPlan:
            settings = {**_REDIS, "requirepass": password}
            planned = redis_wheel.plan_redis(space, program, settings=settings)
            return replace(planned, folder=data, port=self._port("redis"))

        address = run.server("redis", plan)
        self._remember("redis", address)
        return f"redis://:{password}@127.0.0.1:{address.port}/0"

    def _make_data(self, name: str) -> Path:
        data = self._folder / name
        data.mkdir(mode=0o700, exist_ok=True)
        account = Account.find()
        if account is not None:
            os.chown(data, account.uid, account.gid)
        _end_what_works_in(data)
        if sys.platform == "linux":
            # Nobody works here, and its number may be that of another process by now.
            (data / "postmaster.pid").unlink(missing_ok=True)
        return data

    def _password(self, name: str) -> str:
        known = self._known.setdefault(name, {})
        if "password" not in known:
            known["password"] = secrets.token_hex(16)
            self._write()
        return known["password"]

    def _port(self, name: str) -> int | None:
        port = self._known[name].get("port")
        return None if port is None else int(port)

    def _remember(self, name: str, address: ServerAddress) -> None:
        self._known[name]["port"] = str(address.port)
        self._write()

    def _write(self) -> None:
        _write_privately(self._path, json.dumps(self._known))


def write_variables(path: Path, variables: Mapping[str, str]) -> None:
    """Write variables of the environment to a file that only its owner can read."""
    lines = [f"{name}={value}\n" for name, value in variables.items()]
    _write_privately(path, "".join(lines))


def _write_privately(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _make_private(folder: Path) -> None:
    """Make a folder that git ignores, and that others do not look into."""
    try:
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error}") from error


@contextmanager
def _alone_in(folder: Path) -> Generator[int]:
    """Hold the lock of a folder, once the servers of a process that was killed have let go of it.

    Raises:
        ConfigurationError: If another process holds it that is alive.
    """
    path = folder / "lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        ends_at = time.monotonic() + _PATIENCE.total_seconds()
        while not _is_locked(lock):
            owner = path.read_text(encoding="utf-8")
            if _is_alive(owner) or time.monotonic() > ends_at:
                message = (
                    f"The services in {folder} run already, for process {owner}: end it first."
                )
                raise ConfigurationError(message)
            time.sleep(_POLL_SECONDS)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        yield lock
    finally:
        os.close(lock)


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True


@contextmanager
def _inherited(lock: int) -> Generator[None]:
    """Let the processes that are started in the block hold a lock, too, for as long as they live."""
    os.set_inheritable(lock, True)  # noqa: FBT003 -- how it is told
    try:
        yield
    finally:
        os.set_inheritable(lock, False)  # noqa: FBT003 -- as above


def _end_what_works_in(data: Path) -> None:
    """End the server of which even the supervisor was killed, where the system says which that is."""
    ends_at = time.monotonic() + _PATIENCE.total_seconds() / 3
    while working := _find_working_in(data):
        if time.monotonic() > ends_at:
            for pid in working:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)


def _find_working_in(data: Path) -> list[int]:
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        # It has ended meanwhile, or is somebody else's.
        with contextlib.suppress(OSError):
            name = (process / "comm").read_text(encoding="utf-8").strip()
            if name in _PROGRAMS and (process / "cwd").samefile(data):
                found.append(int(process.name))
    return found
