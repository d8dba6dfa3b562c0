"""What was measured of a row, and the tables that the data benchmark prints."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks._data.contention import Check
from benchmarks._data.measure import Timing
from benchmarks._data.rows import Row

RAW = "raw SQLAlchemy"
OURS = "fastapi-baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A row on one database: what each contender took."""

    row: Row
    backend: str
    latency_ms: float
    timings: Mapping[str, Timing]
    failures: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the row as it is written; times in milliseconds."""
        own = self.timings.get(OURS)
        return {
            "number": self.row.number,
            "name": self.row.name,
            "operation": self.row.operation,
            "backend": self.backend,
            "latency_ms": round(self.latency_ms, 2),
            "ours": _milliseconds(own),
            "peers": {
                name: _milliseconds(timing)
                for name, timing in self.timings.items()
                if not is_ours(name)
            },
            "beside": {
                name: _milliseconds(timing)
                for name, timing in self.timings.items()
                if name != OURS and is_ours(name)
            },
            "failures": dict(self.failures),
            "statements": {name: timing.statements for name, timing in self.timings.items()},
            "ratio": {
                name: round(timing.over(own), 3)
                for name, timing in self.timings.items()
                if own is not None and name != OURS
            },
        }


def _milliseconds(timing: Timing | None) -> dict[str, float] | None:
    if timing is None:
        return None
    found = {"p50": timing.median, "p95": timing.p95, "fastest": timing.fastest}
    return {name: round(seconds * 1000, 4) for name, seconds in found.items()}


def table(rows: Iterable[Measured]) -> Iterable[str]:
    """Return a line for each row and contender."""
    backend = ""
    for measured in rows:
        if measured.backend != backend:
            backend = measured.backend
            yield f"\n== {backend}" + (
                f", where a round trip takes {measured.latency_ms:.2f} ms more"
                if measured.latency_ms
                else ""
            )
        yield f"{measured.row.number:>3} {measured.row.name}"
        own = measured.timings.get(OURS)
        for name, timing in measured.timings.items():
            ratio = f"{timing.over(own):8.2f}x" if own is not None else ""
            yield (
                f"    {name:<32} {timing.median * 1000:10.3f} ({timing.p95 * 1000:9.3f},"
                f" {timing.fastest * 1000:9.3f})"
                f" {timing.statements:5}{ratio}"
            )
        for name, why in measured.failures.items():
            yield f"    {name:<32} FAILED: {why[:100]}"


def check_table(checks: Iterable[Check]) -> Iterable[str]:
    """Return a line for each check and contender."""
    previous = None
    for check in checks:
        if previous != (check.name, check.backend):
            previous = check.name, check.backend
            yield f"\n{check.number:>3} {check.name}, {check.backend}"
        seen = ", ".join(f"{name} {value:g}" for name, value in check.seen.items())
        yield f"    {check.contender:<32} {check.seconds:8.2f} s  {seen}"


def is_ours(name: str) -> bool:
    """Return whether it is the library, or another of its operations beside."""
    return name.startswith(OURS)
