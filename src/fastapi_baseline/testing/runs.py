"""Servers that belong to a run: started once, shared by its processes, gone when it ends.

A run is a folder. Whoever takes part in it holds a lease, a shared lock on one file in it; each
server has a supervisor that waits until nobody does. So a server outlives neither a test run that
was killed nor one that shares it with workers, and needs no process to be told.
"""

import contextlib
import fcntl
import json
import os
import pwd
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Self

from fastapi_baseline.errors import ConfigurationError

# By path, since a child need not find the library where this process did.
_SUPERVISE = (
    f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r}); "
    "from fastapi_baseline.testing.supervisor import main; main(sys.argv[1])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An unprivileged user that servers run as, since PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @classmethod
    def find(cls) -> Self | None:
        """Return the account to change to, or `None` where this process is not root.

        Raises:
            ConfigurationError: If the system has no account for it.
        """
        if os.geteuid() != 0:
            return None
        for name in ("nobody", "daemon"):
            with contextlib.suppress(KeyError):
                entry = pwd.getpwnam(name)
                return cls(uid=entry.pw_uid, gid=entry.pw_gid)
        raise ConfigurationError(
            "Test servers do not run as root, and there is no user 'nobody' to run them as. "
            "Start the tests as another user."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerPlan:
    """How to start a server: `{port}` in `command` stands for a free port."""

    command: Sequence[str]
    ready: str
    """What it writes when it takes connections."""
    stop: Sequence[int]
    """Signals that end it, the gentlest first."""
    prepare: Sequence[Sequence[str]] = ()
    """Commands that are run before it."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    patience: timedelta = timedelta(seconds=10)
    """How long each signal is given to end it."""
    folder: Path | None = None
    """Where it works, if not in a folder that goes with its run."""
    port: int | None = None
    """The port to take if it is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where a server of a run listens, on the loopback interface."""

    port: int
    password: str = field(repr=False)
    pid: int
    supervisor: int


class Workspace:
    """The folder of one server, which only the user that it runs as can read."""

    def __init__(self, folder: Path, account: Account | None, password: str) -> None:
        self.folder = folder
        self.password = password
        self.account = account

    def write(self, name: str, text: str) -> Path:
        """Write a file that only the server can read."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        self._hand_over(path)
        return path

    def make_folder(self, name: str) -> Path:
        """Make a folder that belongs to the server."""
        path = self.folder / name
        path.mkdir(mode=0o700)
        self._hand_over(path)
        return path

    def _hand_over(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


class Run:
    """One lease on a run; make it with `Run.start()` or `Run.join(folder)`, and `close()` it."""

    def __init__(self, folder: Path, *, is_owner: bool) -> None:
        self.folder = folder
        self._is_owner = is_owner
        self._started: list[int] = []
        self._lease: int | None = os.open(folder / "lease", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._lease, fcntl.LOCK_SH)

    @classmethod
    def start(cls) -> Self:
        """Begin a run of one's own; closing it ends it."""
        folder = Path(tempfile.mkdtemp(prefix="fastapi-baseline-", dir=_temporary_folder()))
        folder.chmod(0o711)  # Servers reach their own folder in it, and see no other.
        return cls(folder, is_owner=True)

    @classmethod
    def join(cls, folder: Path) -> Self:
        """Take part in a run that another process has begun."""
        return cls(folder, is_owner=False)

    def server(self, name: str, plan: Callable[[Workspace], ServerPlan]) -> ServerAddress:
        """Return the server called `name` of this run; the first to ask starts it.

        Raises:
            ConfigurationError: If it does not start; the message holds its last words.
        """
        state = self.folder / f"{name}.json"
        with _locked(self.folder / f"{name}.lock"):
            if not state.exists():
                address = self._start(name, plan)
                state.touch(mode=0o600)
                state.write_text(json.dumps(address))
            return ServerAddress(**json.loads(state.read_text()))

    @contextlib.contextmanager
    def turn(self, name: str) -> Generator[None]:
        """Take turns with the other processes of the run."""
        with _locked(self.folder / f"{name}.turn"):
            yield

    def close(self) -> None:
        """Give the lease back; the owner waits until the servers are gone."""
        if self._lease is None:
            return
        os.close(self._lease)
        self._lease = None
        if self._is_owner:
            for alive in self.folder.glob("*.alive"):
                with contextlib.suppress(FileNotFoundError), _locked(alive, flags=os.O_RDWR):
                    pass
            for pid in self._started:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, plan: Callable[[Workspace], ServerPlan]) -> dict[str, object]:
        account = Account.find()
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o711)
        workspace = Workspace(folder, account, secrets.token_hex(16))
        try:
            spec = self._spec(name, plan(workspace), workspace)
            pid, report = _supervise(spec, folder / "supervisor.log")
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        if "error" in report:
            os.waitpid(pid, 0)  # It is still tidying up.
            raise ConfigurationError(f"The {name} server for tests: {report['error']}")
        self._started.append(pid)
        return {**report, "password": workspace.password}

    def _spec(self, name: str, plan: ServerPlan, workspace: Workspace) -> Path:
        home = workspace.make_folder("home")
        options: dict[str, object] = {
            "cwd": str(plan.folder or home),
            "env": dict(plan.environment),
            "umask": 0o077,
        }
        if workspace.account is not None:
            options |= {
                "user": workspace.account.uid,
                "group": workspace.account.gid,
                "extra_groups": [],
            }
        spec = {
            "run": str(self.folder),
            "folder": str(workspace.folder),
            "alive": str(self.folder / f"{name}.alive"),
            "log": str(workspace.folder / "server.log"),
            "prepare": [list(command) for command in plan.prepare],
            "command": list(plan.command),
            "ready": plan.ready,
            "port": plan.port,
            "stop": [int(number) for number in plan.stop],
            "patience": plan.patience.total_seconds(),
            "options": options,
        }
        path = workspace.folder / "spec.json"
        path.write_text(json.dumps(spec))
        return path


def _supervise(spec: Path, log: Path) -> tuple[int, dict[str, object]]:
    """Start a supervisor, and return its process and what it reports.

    Not with `subprocess`: the supervisor is meant to outlive this process, which a `Popen` object
    takes for a mistake.
    """
    reader, writer = os.pipe()
    with open(reader, encoding="utf-8") as report:  # noqa: PTH123 - a descriptor, not a path.
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-c", _SUPERVISE, str(spec)],
                os.environ,  # noqa: TID251 - handed on, not read.
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writer, 1),
                    (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT, 0o600),
                ],
            )
        finally:
            os.close(writer)
        line = report.readline()
    if not line:
        return pid, {"error": f"its supervisor died: {log.read_text(errors='replace')}"}
    return pid, json.loads(line)


@contextlib.contextmanager
def _locked(path: Path, *, flags: int = os.O_RDWR | os.O_CREAT) -> Generator[None]:
    handle = os.open(path, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _temporary_folder() -> Path:
    """Return a folder for temporary files that an unprivileged user can reach, too.

    Raises:
        ConfigurationError: If this process is root and there is none.
    """
    chosen = Path(tempfile.gettempdir())
    if os.geteuid() != 0:
        return chosen
    for folder in (chosen, Path("/tmp"), Path("/var/tmp")):  # noqa: S108 - mkdtemp goes in it.
        if folder.is_dir() and _is_reachable(folder.resolve()):
            return folder
    raise ConfigurationError(
        "Test servers do not run as root, and no temporary folder can be reached by another user. "
        "Set TMPDIR to one that can."
    )


def _is_reachable(folder: Path) -> bool:
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))
