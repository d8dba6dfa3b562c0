"""The HTTP benchmark itself, in an environment that has the peers: `--quick` for a short run."""

import importlib.util
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks._http import layers
from benchmarks._http.apps import BARE, DEFAULT, PEERS, SAMPLED_PEERS, TRACED, UNTRACED_PEERS
from benchmarks._http.collector import batches, collector
from benchmarks._http.load import Load, LoadError, cores
from benchmarks._http.report import MANY, PACKAGES, Report
from benchmarks._http.servers import Server, get, server
from benchmarks._http.service import TARGET
from benchmarks._outcome import versions
from benchmarks._rounds import QUICK, Effort, add_burst, main, rotated, say, send

_PROBES = ("/livez", "/readyz", "/health")
_AT_ONCE = 100
_QUICK = replace(QUICK, blocks=6)
_EXPECTED = ("x-request-id", "x-content-type-options", "access-control-allow-origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A contender, under the name that it is reported by."""

    name: str
    app: str
    routes: int = 10
    is_traced: bool = False
    writes_lines: bool = True


CONTENDERS = (
    Contender(name=BARE, app=BARE, writes_lines=False),
    Contender(name=DEFAULT, app=DEFAULT),
    Contender(name=TRACED, app=TRACED, is_traced=True),
    Contender(name=PEERS, app=PEERS, is_traced=True),
    Contender(name=SAMPLED_PEERS, app=SAMPLED_PEERS, is_traced=True),
    Contender(name=UNTRACED_PEERS, app=UNTRACED_PEERS),
    Contender(name=MANY, app=DEFAULT, routes=500),
    Contender(name=f"{BARE} with 500 routes", app=BARE, routes=500, writes_lines=False),
)


def _contenders() -> Sequence[Contender]:
    if importlib.util.find_spec("prometheus_fastapi_instrumentator") is not None:
        return CONTENDERS
    print("The peers are not installed here, and left out: use `nox -s bench -- http`")
    return [one for one in CONTENDERS if not one.app.startswith(PEERS)]


def _run(effort: Effort) -> Report:
    contenders = _contenders()
    here, there = cores()
    if here == there:
        print("There is one core only: the servers and the load share it.")
    report = Report(
        versions=versions(PACKAGES),
        loads={one.name: Load() for one in contenders},
        is_quick=effort.is_quick,
    )
    with collector(core=there) as spans:
        for number in range(effort.rounds):
            say(f"round {number + 1} of {effort.rounds}")
            for one in rotated(contenders, number):
                _round(one, report, effort, spans=spans, first=number == 0)
    say("health")
    with server(DEFAULT, core=here) as running:
        report.health = {
            path: send(running, effort, target=path, connections=_AT_ONCE)
            for path in _PROBES
            if _is_served(running, path)
        }
    say("layers")
    report.layers = layers.measure(blocks=effort.blocks)
    report.added = layers.added_by_routes(blocks=effort.blocks)
    return report


def _round(one: Contender, report: Report, effort: Effort, *, spans: str, first: bool) -> None:
    here, _ = cores()
    traced = spans if one.is_traced else None
    arrived = batches(traced) if traced else 0
    with ExitStack() as stack:
        running = stack.enter_context(
            server(one.app, core=here, routes=one.routes, collector=traced)
        )
        if first:
            report.memory_mib = {**report.memory_mib, one.name: running.memory_mib()}
            _check_features(one, running)
        warm = send(running, effort, seconds=effort.warm_up)
        measured = add_burst(report.loads[one.name], running, effort)
        if one.writes_lines:
            asked = warm.requests + measured.requests
            report.lost_lines += max(asked - running.lines(), 0)
        if traced and batches(traced) == arrived:
            raise LoadError(f"{one.name} has sent no spans: what was measured was not traced")


def _check_features(one: Contender, running: Server) -> None:
    """Refuse to compare with what does not do the work.

    Raises:
        LoadError: If an answer lacks what every stack should add.
    """
    if one.app == BARE:
        return
    answered = get(f"{running.address}{TARGET}")
    missing = [name for name in _EXPECTED if name not in answered]
    if missing:
        raise LoadError(f"{one.name} answers without {', '.join(missing)}")


def _is_served(running: Server, path: str) -> bool:
    try:
        get(f"{running.address}{path}")
    except LoadError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(_run, name="http", description=__doc__, quick=_QUICK))
