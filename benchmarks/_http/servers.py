"""A contender's server in a process of its own, and what it takes."""

import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks._http.load import LoadError, lines_of
from benchmarks._http.service import HEADERS, TARGET
from fastapi_baseline.testing.server import free_port

_STARTS_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A contender that answers."""

    address: str
    process: int
    written: Path
    """What it has written to its output: access lines, if it has any."""

    def memory_mib(self) -> float:
        """Return what the process holds of memory (RSS)."""
        status = Path(f"/proc/{self.process}/status").read_text(encoding="utf-8")
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self) -> float:
        """Return how much of a core the process has used so far, with all of its threads."""
        fields = Path(f"/proc/{self.process}/stat").read_text(encoding="utf-8").rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def lines(self) -> int:
        """Return how many lines it has written, once it writes no more."""
        before = -1
        while (now := lines_of(self.written)) != before:
            before = now
            time.sleep(0.3)
        return now


def server(
    name: str, *, core: int, routes: int = 10, collector: str | None = None
) -> AbstractContextManager[Server]:
    """Run a contender on a core until the end of the block, as `running` does."""
    options = ["--routes", str(routes), *(["--collector", collector] if collector else [])]
    return running("benchmarks._http.serve", name, *options, core=core)


@contextmanager
def running(
    module: str,
    name: str,
    *options: str,
    core: int,
    ready: str = TARGET,
    headers: Mapping[str, str] = HEADERS,
) -> Generator[Server]:
    """Run a contender of a module that serves several on a core until the end of the block.

    It runs as soon as `ready` is answered with success.

    Raises:
        LoadError: If it does not answer, or not as every contender should.
    """
    port = free_port()
    command = [sys.executable, "-m", module, name, "--port", str(port), "--core", str(core)]
    command += options
    with tempfile.TemporaryDirectory() as folder, Path(folder, "output").open("wb") as output:
        process = subprocess.Popen(command, env=_environment(), stdout=output)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(process, f"{address}{ready}", headers)
            yield Server(address=address, process=process.pid, written=Path(folder, "output"))
        finally:
            process.kill()
            process.wait()


def _environment() -> dict[str, str]:
    """Return what a server gets: that of this process, and spans that are sent while it is measured.

    By default they are kept for five seconds, which is longer than a round.
    """
    return {**os.environ, "OTEL_BSP_SCHEDULE_DELAY": "1000"}  # noqa: TID251 - a child's


def _wait(process: subprocess.Popen[bytes], url: str, headers: Mapping[str, str]) -> None:
    ends = time.monotonic() + _STARTS_WITHIN
    while time.monotonic() < ends and process.poll() is None:
        try:
            get(url, headers=headers)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise LoadError(f"{url} is not answered: the server has failed, or takes too long")


def get(url: str, *, headers: Mapping[str, str] = HEADERS) -> Mapping[str, str]:
    """Return the headers of an answer, with names in lower case.

    Raises:
        LoadError: If it is no success.
    """
    request = urllib.request.Request(url, headers=dict(headers))  # noqa: S310 - of this machine
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - likewise
            answer.read()
            return {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        raise LoadError(f"{url} is answered with {error.code}") from error
