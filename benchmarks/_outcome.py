"""What a benchmark found: the aims, the versions, the tables and the file of results."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from benchmarks._http.load import Load, wrk_version

RESULTS = Path(__file__).parents[1] / "build/bench"
# What all contenders are served by; each benchmark names what else it measures.
SERVED_BY = (
    "fastapi-baseline",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A figure, and what it should be."""

    name: str
    value: float | None
    bound: str
    goal: float

    @property
    def is_met(self) -> bool:
        """Return whether it is what it should be; what was not measured is not."""
        if self.value is None:
            return False
        return self.value <= self.goal if self.bound == "at most" else self.value >= self.goal

    def __str__(self) -> str:
        verdict = "met" if self.is_met else "MISSED"
        value = "not measured" if self.value is None else f"{self.value:.3g}"
        return f"{self.name}: {value}, aim {self.bound} {self.goal:g}: {verdict}"


class Outcome(Protocol):
    """Everything that was found in one run."""

    versions: Mapping[str, str]
    is_quick: bool

    def tables(self) -> Iterable[str]:
        """Return the lines of every table."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Return what is written."""
        ...

    def aims(self) -> Sequence[Aim]:
        """Return every figure that should be something."""
        ...


def publish(outcome: Outcome, *, name: str) -> int:
    """Print the tables and the aims, write the file, and return 0 if the aims are met, else 1."""
    print(", ".join(f"{package} {number}" for package, number in outcome.versions.items()))
    for line in outcome.tables():
        print(line)
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    print()
    aims = outcome.aims()
    for aim in aims:
        print(aim)
    if outcome.is_quick:
        print("These were short runs: figures to try with, not to judge by.")
    return 0 if all(aim.is_met for aim in aims) else 1


def throughput_ratios(
    loads: Mapping[str, Load], compared: Mapping[str, tuple[str, str]]
) -> dict[str, float]:
    """Return how throughputs compare, by name, without those that were not measured."""
    return {
        name: round(loads[one].over(loads[other]), 3)
        for name, (one, other) in compared.items()
        if {one, other} <= loads.keys()
    }


def load_figures(loads: Mapping[str, Load]) -> dict[str, dict[str, float]]:
    """Return the throughput and the slowest 1 % of each contender."""
    return {
        name: {"rps": round(load.rps, 1), "p99_ms": round(load.p99_ms, 3)}
        for name, load in loads.items()
    }


def throughputs_by_round(loads: Mapping[str, Load]) -> dict[str, list[float]]:
    """Return the throughput of each contender in each round."""
    return {name: [round(burst.rps, 1) for burst in load.bursts] for name, load in loads.items()}


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of packages, of Python and of the load, and the machine's cores."""
    found: dict[str, str] = {}
    for name in names:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return {
        **found,
        "Python": platform.python_version(),
        "wrk": wrk_version(),
        "Linux": platform.release(),
        "cores": str(os.cpu_count()),
    }
