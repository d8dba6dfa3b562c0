"""The load: wrk, on the core that the servers do not have."""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MARK = "RESULT "
# What wrk says of itself is for people; this prints what it has counted.
_REPORT = """
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '%s{"requests": %%d, "seconds": %%.6f, "p50_ms": %%.4f, "p99_ms": %%.4f, "failed": %%d}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.timeout + errors.status))
end
"""

# Each request has the next line of a file as its form; after the last one comes the first.
_FORMS = """
local bodies = {}
for line in io.lines(%s) do bodies[#bodies + 1] = line end
local number = 0
function request()
  number = number %% #bodies + 1
  return wrk.format("POST", nil, nil, bodies[number])
end
"""


class LoadError(RuntimeError):
    """The load could not be made, or was not answered as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """What one run of the load has seen."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def rps(self) -> float:
        """Return how many requests were answered in a second."""
        return self.requests / self.seconds


@dataclass(slots=True)
class Load:
    """What was measured of a contender: a burst in each round."""

    bursts: list[Burst] = field(default_factory=list[Burst])
    cpu_us: list[float] = field(default_factory=list[float])
    """What the server's process has used of its core for one request, by round."""

    @property
    def rps(self) -> float:
        """Return the median of the rounds, in requests per second."""
        return statistics.median(burst.rps for burst in self.bursts)

    @property
    def p99_ms(self) -> float:
        """Return the median of what 99 % of the requests of a round took at most."""
        return statistics.median(burst.p99_ms for burst in self.bursts)

    def over(self, other: "Load") -> float:
        """Return how many times as much it answers as another: the median over the rounds."""
        return statistics.median(
            own.rps / its.rps for own, its in zip(self.bursts, other.bursts, strict=True)
        )

    def faster_than(self, other: "Load") -> float:
        """Return how many times as long the slowest 1 % of another take, by the median."""
        return statistics.median(
            its.p99_ms / own.p99_ms for own, its in zip(self.bursts, other.bursts, strict=True)
        )


def check() -> None:
    """Refuse to start without what makes the load.

    Raises:
        LoadError: If it is missing.
    """
    if shutil.which("wrk") is None:
        raise LoadError("wrk is not on PATH. On Debian: apt-get install wrk")


def wrk_version() -> str:
    """Return the version of wrk, or that it is not there: not each benchmark makes a load."""
    if shutil.which("wrk") is None:
        return "not installed"
    said = subprocess.run(("wrk", "-v"), capture_output=True, check=False, text=True)
    found = re.search(r"wrk \S*?(\d[\w.]*)", said.stdout + said.stderr)
    return found[1] if found else "unknown"


def burst(
    url: str,
    *,
    seconds: float,
    connections: int,
    core: int,
    headers: Mapping[str, str],
    forms: Path | None = None,
) -> Burst:
    """Ask for a URL over so many connections, each at once after its last answer.

    What is posted, if something is, are the lines of `forms`.

    Raises:
        LoadError: If something was not answered with success.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua", encoding="utf-8") as script:
        lines = [
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(headers[name])}" for name in headers
        ]
        if forms is not None:
            lines.append(_FORMS % json.dumps(str(forms)))
        script.write("\n".join([*lines, _REPORT % _MARK]))
        script.flush()
        sizes = (f"-d{max(round(seconds), 1)}s", "-t1", f"-c{connections}")
        done = subprocess.run(
            ("wrk", *sizes, "-s", script.name, url),
            capture_output=True,
            check=False,
            # It starts on the core that it is to stay on, and its threads with it.
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            text=True,
        )
    result = parse(done.stdout)
    if result is None or done.returncode:
        raise LoadError(f"wrk failed on {url}: {done.stdout}{done.stderr}")
    if result.failed:
        raise LoadError(f"{result.failed} of {result.requests} requests to {url} failed")
    return result


def parse(output: str) -> Burst | None:
    """Return what the script of a run has printed, if it has."""
    for line in output.splitlines():
        if line.startswith(_MARK):
            return Burst(**json.loads(line.removeprefix(_MARK)))
    return None


def cores() -> tuple[int, int]:
    """Return the core of the server and that of the load; the same one if there is only one."""
    present = sorted(os.sched_getaffinity(0))
    return present[0], present[-1]


def lines_of(path: Path) -> int:
    """Return how many lines a file has."""
    with path.open("rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(2**20), b""))
