"""How long a process takes until it answers, or ends, and how much of the processor it takes."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from fastapi_baseline.testing.server import free_port

_PATIENCE = 60.0
_POLL = 0.002
PORT = "{port}"
"""What stands for a free port in a command."""


class StartError(Exception):
    """A process did not do what it was called for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What one start took, in seconds."""

    wall: float
    cpu: float


def until_it_answers(command: Sequence[str], *, folder: Path) -> Start:
    """Return what a server takes until `/readyz` is answered with 200; it is killed then.

    Raises:
        StartError: If it ends before, or takes longer than a minute.
    """
    port = free_port()
    began = time.perf_counter()
    with _started([part.replace(PORT, str(port)) for part in command], folder) as process:
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                    raise StartError(f"{' '.join(command)} does not answer")
                time.sleep(_POLL)
            return Start(wall=time.perf_counter() - began, cpu=_cpu_seconds(process.pid))
        finally:
            process.send_signal(signal.SIGKILL)


def until_it_ends(command: Sequence[str], *, folder: Path) -> Start:
    """Return what a program takes.

    Raises:
        StartError: If it does not succeed.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with _started(command, folder) as process:
        code = process.wait()
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code != 0:
        raise StartError(f"{' '.join(command)} ends with {code}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Start(wall=wall, cpu=cpu)


def _started(command: Sequence[str], folder: Path) -> "subprocess.Popen[bytes]":
    environment = dict(os.environ)  # noqa: TID251 - handed on
    # Some machines set it, and then nothing that is compiled is kept.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system = fields[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
