"""Keeps one server alive for as long as somebody holds a lease on its run, then removes every trace.

It runs as a process of its own, in a session of its own, so that neither Ctrl-C nor the death of the
test run by SIGKILL can leave a server behind: leases are file locks, which the kernel releases.
It needs nothing but the standard library.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, NoReturn

_DEADLINE_SECONDS = 60.0
_POLL_SECONDS = 0.005
_ATTEMPTS = 5
_PR_SET_PDEATHSIG = 1


class _StartError(Exception):
    """The server did not start; the message holds the end of its output."""


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _die_with_the_supervisor() -> None:
    """Ask the kernel (Linux only) to stop the server if the supervisor itself is killed."""
    # A run that was started in the background may have had this signal ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _start(command: list[str], log: Path, options: dict[str, Any]) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603 - the command is ours, from the spec.
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Safe here: the supervisor has one thread.
            preexec_fn=_die_with_the_supervisor if sys.platform == "linux" else None,  # noqa: PLW1509
            cwd=options["cwd"],
            env=options["env"],
            umask=options["umask"],
            user=options.get("user"),
            group=options.get("group"),
            extra_groups=options.get("extra_groups"),
        )


def _wait_until_ready(server: subprocess.Popen[bytes], log: Path, ready: str) -> bool:
    """Return whether the server said that it is ready before it ended."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while server.poll() is None:
        if ready in log.read_text(errors="replace"):
            return True
        if time.monotonic() > deadline:
            raise _StartError(f"The server was not ready in time:\n{_end_of(log)}")
        time.sleep(_POLL_SECONDS)
    return False


def _stop(server: subprocess.Popen[bytes], signals: list[int], seconds: float) -> None:
    for number in signals:
        server.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(seconds)
            return
    server.kill()
    server.wait()


@contextlib.contextmanager
def _running(spec: dict[str, Any]) -> Generator[dict[str, int]]:
    log = Path(spec["log"])
    for command in spec["prepare"]:
        prepared = _start(command, log, spec["options"])
        try:
            code = prepared.wait(_DEADLINE_SECONDS)
        finally:
            _stop(prepared, [], 0)
        if code != 0:
            raise _StartError(f"{Path(command[0]).name} failed:\n{_end_of(log)}")

    wanted: int | None = spec["port"]
    for _ in range(_ATTEMPTS):  # Somebody else may take the free port first.
        port = wanted or _free_port()
        wanted = None
        command = [part.replace("{port}", str(port)) for part in spec["command"]]
        server = _start(command, log, spec["options"])
        try:
            if _wait_until_ready(server, log, spec["ready"]):
                yield {"port": port, "pid": server.pid, "supervisor": os.getpid()}
                return
        finally:
            _stop(server, spec["stop"], spec["patience"])
    raise _StartError(f"{Path(spec['command'][0]).name} did not start:\n{_end_of(log)}")


def _wait_for_the_last_lease(lease: int) -> None:
    fcntl.flock(lease, fcntl.LOCK_EX)


def _report(message: dict[str, object]) -> None:
    """Tell the process that started us, once, and let go of its pipe."""
    with contextlib.suppress(BrokenPipeError):  # It is dead, and with it its lease.
        os.write(1, json.dumps(message).encode() + b"\n")
    os.dup2(2, 1)


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(1)


def main(spec_file: str) -> None:
    """Run the server that `spec_file` describes, until its run is over."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    spec = json.loads(Path(spec_file).read_text())
    run, alive = Path(spec["run"]), Path(spec["alive"])
    lease = os.open(run / "lease", os.O_RDWR)
    living = os.open(alive, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(living, fcntl.LOCK_EX)
    try:
        with _running(spec) as address:
            _report(dict(address))
            _wait_for_the_last_lease(lease)
    except (_StartError, OSError, subprocess.SubprocessError) as error:
        _report({"error": str(error)})
    finally:
        shutil.rmtree(spec["folder"], ignore_errors=True)
        alive.unlink(missing_ok=True)
        # Servers of one run stop one after the other, since each holds the lease alone: the last
        # one removes what is left, should the owner of the run be dead.
        if _has_ended(lease) and not list(run.glob("*.alive")):
            shutil.rmtree(run, ignore_errors=True)


def _has_ended(lease: int) -> bool:
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
