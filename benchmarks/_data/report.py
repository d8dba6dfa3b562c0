"""What the data benchmark found: the table, the file of results, and the goals."""

import json
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks._data.chart import Bar, draw
from benchmarks._data.contention import Check
from benchmarks._data.measure import Timing
from benchmarks._data.table import OURS, RAW, Measured, check_table, is_ours, table

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build/bench/data.json"
CHART = ROOT / "build/bench/data.svg"
DOCUMENTED = ROOT / "docs/_static/data-benchmark.svg"

DIRECT = ("SQLite", "PostgreSQL")
SLOW = "PostgreSQL + 1 ms"
PACKAGES = (
    "fastapi-baseline",
    "sqlalchemy",
    "advanced-alchemy",
    "fastcrud",
    "fastapi-pagination",
    "fastapi-filter",
    "sqlakeyset",
)
_CAPTIONED = PACKAGES[:5]
_DRIVERS = ("fastapi", "pydantic", "asyncpg", "aiosqlite")
_MEMORY_ROW = 11
_GOALS: Mapping[str, tuple[str, float]] = {
    "get_over_raw": ("at most", 1.10),
    "list_over_raw": ("at most", 1.10),
    "patch_gain": ("at least", 2.0),
    "upsert_gain": ("at least", 2.0),
    "exists_gain": ("at least", 50.0),
    "deep_page_over_first": ("at most", 1.5),
    "copy_gain": ("at least", 5.0),
}
_MEMORY_MIB = 1.0
"""How much more memory deleting ten times as many rows may take."""
_CHARTED = (
    "insert",
    "get",
    "patch",
    "upsert",
    "list",
    "keyset deep",
    "total",
    "exists",
    "delete_where",
    "relations",
    "projection",
)


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that was found in one run."""

    versions: Mapping[str, str]
    copied: int
    """How many rows the copy is compared with `add_many` by."""
    measured: list[Measured] = field(default_factory=list[Measured])
    checks: list[Check] = field(default_factory=list[Check])
    is_quick: bool = False

    def write(self, *, draws_documentation: bool) -> None:
        """Print the tables, and write the results and the chart."""
        print(", ".join(f"{name} {value}" for name, value in self.versions.items()))
        print(
            "Of one call in the caller's transaction: median in ms (p95, fastest), statements, and"
        )
        print("the median over all rounds of how many times as long as ours it takes.")
        for line in table(self.measured):
            print(line)
        for line in check_table(self.checks):
            print(line)
        found = {
            "versions": self.versions,
            "is_quick": self.is_quick,
            "rows": [measured.as_json() for measured in self.measured],
            "checks": [asdict(check) for check in self.checks],
            "ratios": self.ratios(),
        }
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        chart = draw(self._bars(), caption=self._caption())
        CHART.write_text(chart, encoding="utf-8")
        if draws_documentation:
            DOCUMENTED.parent.mkdir(parents=True, exist_ok=True)
            DOCUMENTED.write_text(chart, encoding="utf-8")

    def ratios(self) -> dict[str, float]:
        """Return the figures that have a goal, without those whose peers were left out.

        Where both databases are meant, it is the worse one; gains are of 1 ms latency.
        """
        found = {
            "get_over_raw": self._worst("get", over=RAW),
            "list_over_raw": self._worst("list", over=RAW),
            "patch_gain": self._gain("patch"),
            "upsert_gain": self._gain("upsert"),
            "exists_gain": _inverse(self._worst("exists", over="advanced-alchemy")),
            "deep_page_over_first": self._deep_over_first(),
            "copy_gain": self._copy_gain(),
        }
        return {name: round(value, 3) for name, value in found.items() if value is not None}

    def judge(self) -> int:
        """Print each goal and whether it is met; return 0 if all of them are, else 1."""
        ratios = self.ratios()
        missed = 0
        print()
        for name, (bound, goal) in _GOALS.items():
            value = ratios.get(name)
            if value is None:
                print(f"{name}: not measured")
                missed += 1
                continue
            is_met = value <= goal if bound == "at most" else value >= goal
            missed += not is_met
            print(f"{name} {value:.2f}, goal {bound} {goal:g}: {'met' if is_met else 'MISSED'}")
        for measured in self.measured:
            if OURS in measured.failures:
                missed += 1
                print(f"{measured.row.name} on {measured.backend}: failed: MISSED")
        for check in self.checks:
            if check.contender == OURS:
                for why in _wrong(check):
                    missed += 1
                    print(f"{check.name} on {check.backend}: {why}: MISSED")
        if self.is_quick:
            print("These were small tables: figures to try with, not to judge by.")
        return 1 if missed else 0

    def _find(self, operation: str, backend: str) -> Mapping[str, Timing]:
        for measured in self.measured:
            row = measured.row
            if (row.operation, measured.backend) == (operation, backend) and not row.way.whole:
                return measured.timings
        raise LookupError(f"{operation} was not measured on {backend}")

    def _worst(self, operation: str, *, over: str) -> float | None:
        timings = [self._find(operation, backend) for backend in DIRECT]
        if any({OURS, over} - timing.keys() for timing in timings):
            return None
        return max(timing[OURS].over(timing[over]) for timing in timings)

    def _gain(self, operation: str) -> float | None:
        timings = self._find(operation, SLOW)
        peers = [timing for name, timing in timings.items() if name != RAW and not is_ours(name)]
        if OURS not in timings:
            return None
        return min((peer.over(timings[OURS]) for peer in peers), default=None)

    def _deep_over_first(self) -> float | None:
        first = f"{OURS}: keyset"
        found = [self._find("keyset deep", backend) for backend in DIRECT]
        if any({OURS, first} - timings.keys() for timings in found):
            return None
        return max(timings[OURS].over(timings[first]) for timings in found)

    def _copy_gain(self) -> float | None:
        timings = self._find(f"bulk {self.copied}", "PostgreSQL")
        added = timings.get(f"{OURS}: add_many {self.copied}")
        return None if added is None or OURS not in timings else added.over(timings[OURS])

    def _bars(self) -> list[Bar]:
        return [
            Bar(
                label=measured.row.name,
                milliseconds={
                    name: timing.median * 1000
                    for name, timing in measured.timings.items()
                    if name == OURS or not is_ours(name)
                },
            )
            for measured in self.measured
            if measured.backend == SLOW and measured.row.operation in _CHARTED
            if not measured.row.way.whole
        ]

    def _caption(self) -> str:
        shown = (*_CAPTIONED, "Python", "PostgreSQL")
        return ", ".join(f"{name} {self.versions[name]}" for name in shown if name in self.versions)


def _inverse(value: float | None) -> float | None:
    return None if value is None else 1 / value


def _wrong(check: Check) -> Iterable[str]:
    for name in ("lost", "missed", "errors"):
        if check.seen.get(name):
            yield f"{check.seen[name]:g} {name}"
    if check.number == _MEMORY_ROW:
        few, many = check.seen.values()
        if many - few > _MEMORY_MIB:
            yield f"{many - few:.1f} MiB more for ten times as many rows"


def versions() -> dict[str, str]:
    """Return the versions of the packages that are installed, of Python, and the machine's cores."""
    found: dict[str, str] = {}
    for name in (*PACKAGES, *_DRIVERS):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return {
        **found,
        "Python": platform.python_version(),
        "cores": str(os.cpu_count()),
    }
