"""What the HTTP benchmark found: the tables, what is written, and the aims."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks._http.apps import BARE, DEFAULT, PEERS, SAMPLED_PEERS, TRACED, UNTRACED_PEERS
from benchmarks._http.load import Burst, Load
from benchmarks._outcome import (
    SERVED_BY,
    Aim,
    load_figures,
    throughput_ratios,
    throughputs_by_round,
)

APPS = (BARE, DEFAULT, TRACED, PEERS)
MANY = f"{DEFAULT} with 500 routes"
PACKAGES = (
    *SERVED_BY,
    "opentelemetry-sdk",
    "prometheus-client",
    "asgi-correlation-id",
    "secure",
    "structlog",
    "prometheus-fastapi-instrumentator",
    "opentelemetry-instrumentation-fastapi",
)


@dataclass(slots=True, kw_only=True)
class Report:
    """Everything that was found in one run."""

    versions: Mapping[str, str]
    loads: Mapping[str, Load]
    memory_mib: Mapping[str, float] = field(default_factory=dict[str, float])
    """What the process of an idle application holds, by contender."""
    health: Mapping[str, Burst] = field(default_factory=dict[str, Burst])
    """By path, at a hundred concurrent requests."""
    layers: Mapping[str, float] = field(default_factory=dict[str, float])
    """Microseconds that a layer adds to one request, without a server."""
    added: Mapping[str, float] = field(default_factory=dict[str, float])
    """Microseconds that all of the layers add, by how many routes there are."""
    lost_lines: int = 0
    is_quick: bool = False

    def ratios(self) -> dict[str, float]:
        """Return how the throughputs compare, without those that were not measured."""
        compared = {
            "default_over_bare": (DEFAULT, BARE),
            "traced_over_bare": (TRACED, BARE),
            "default_over_peers": (DEFAULT, PEERS),
            "routes_500_over_10": (MANY, DEFAULT),
            "traced_over_peers_sampled": (TRACED, SAMPLED_PEERS),
            "default_over_peers_sampled": (DEFAULT, SAMPLED_PEERS),
            "default_over_peers_untraced": (DEFAULT, UNTRACED_PEERS),
        }
        return throughput_ratios(self.loads, compared)

    def p99_ratios(self) -> dict[str, float]:
        """Return how the slowest 1 % compare: higher is better, as with throughputs."""
        compared = {
            "default_over_bare": (DEFAULT, BARE),
            "traced_over_bare": (TRACED, BARE),
            "default_over_peers": (DEFAULT, PEERS),
        }
        return {
            name: round(self.loads[one].faster_than(self.loads[other]), 3)
            for name, (one, other) in compared.items()
            if {one, other} <= self.loads.keys()
        }

    def memory_above_bare(self) -> float | None:
        """Return how much more memory ours holds than a bare application, in MB."""
        if not {DEFAULT, BARE} <= self.memory_mib.keys():
            return None
        return (self.memory_mib[DEFAULT] - self.memory_mib[BARE]) * 1.048576

    def aims(self) -> list[Aim]:
        """Return every figure that should be something."""
        least = {
            "default_over_bare": 0.65,
            "traced_over_bare": 0.45,
            "default_over_peers": 5.0,
        }
        ratios, p99 = self.ratios(), self.p99_ratios()
        slowest = max((burst.p99_ms for burst in self.health.values()), default=None)
        return [
            *(_least(name, ratios.get(name), goal) for name, goal in least.items()),
            *(_least(f"p99 {name}", p99.get(name), goal) for name, goal in least.items()),
            _least("routes_500_over_10", ratios.get("routes_500_over_10"), 0.95),
            _most("memory above bare, MB", self.memory_above_bare(), 25.0),
            _most("p99 of health, 100 at once, ms", slowest, 100.0),
            _most("access lines that are missing", float(self.lost_lines), 0.0),
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what is written."""
        apps = load_figures(self.loads)
        return {
            "versions": self.versions,
            "is_quick": self.is_quick,
            "apps": {name: apps[name] for name in APPS if name in apps},
            "ratios": self.ratios(),
            "p99_ratios": self.p99_ratios(),
            "beside": {name: apps[name] for name in apps if name not in APPS},
            "rounds": throughputs_by_round(self.loads),
            "cpu_us": {
                name: round(median(load.cpu_us), 1)
                for name, load in self.loads.items()
                if load.cpu_us
            },
            "memory_mib": {name: round(held, 1) for name, held in self.memory_mib.items()},
            "health_p99_ms": {path: round(b.p99_ms, 3) for path, b in self.health.items()},
            "layers_us": {name: round(added, 2) for name, added in self.layers.items()},
            "added_us_by_routes": {name: round(added, 2) for name, added in self.added.items()},
            "lost_lines": self.lost_lines,
            "aims": {aim.name: aim.is_met for aim in self.aims()},
        }

    def tables(self) -> Iterable[str]:
        """Return the lines of every table."""
        heads = ("requests/s", "p99 ms", "of bare", "CPU µs", "memory MiB")
        yield "\n" + f"{'':<26} " + " ".join(f"{head:>10}" for head in heads)
        for name, load in self.loads.items():
            share = load.over(self.loads[BARE]) if BARE in self.loads else 1.0
            used = median(load.cpu_us) if load.cpu_us else 0.0
            held = self.memory_mib.get(name, 0.0)
            numbers = (
                f"{load.rps:10.0f} {load.p99_ms:10.2f} {share:10.2f} {used:10.1f} {held:10.1f}"
            )
            yield f"{name:<26} {numbers}"
        if self.layers:
            yield "\nMicroseconds that each layer adds to one request, without a server:"
            yield from (f"{name:<34} {added:8.2f}" for name, added in self.layers.items())
        if self.added:
            yield "\nMicroseconds that all of them add, where the last route of so many is asked:"
            yield from (f"{name:<34} {added:8.2f}" for name, added in self.added.items())
        for path, burst in self.health.items():
            yield f"{path}: {burst.rps:.0f} requests/s, p99 {burst.p99_ms:.2f} ms, 100 at once"


def _least(name: str, value: float | None, goal: float) -> Aim:
    return Aim(name=name, value=value, bound="at least", goal=goal)


def _most(name: str, value: float | None, goal: float) -> Aim:
    return Aim(name=name, value=value, bound="at most", goal=goal)
