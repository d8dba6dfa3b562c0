"""How long a service takes to start, beside FastAPI alone, and what the commands take.

The service is the template's with its default answers, and is started as its image starts it; the
other has the same routes and models, and nothing else. Both keep their data in an SQLite file.
`--quick` makes few rounds, to try.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks._outcome import Aim, publish, versions
from benchmarks._start.measure import PORT, Start, StartError, until_it_answers, until_it_ends

BARE = "bare, uvicorn"
SERVICE = "service, baseline run"
SERVERS = {
    BARE: ("uvicorn", "bare:app", "--port", PORT),
    SERVICE: ("fastapi_baseline", "run", "--port", PORT),
    "service, uvicorn": ("uvicorn", "--app-dir", "src", "order_service.main:app", "--port", PORT),
}
HELP = "baseline --help"
NEW = "baseline new"
ADD = "baseline add resource"
COMMANDS = {
    HELP: ("fastapi_baseline", "--help"),
    NEW: ("fastapi_baseline", "new", "service-{number}", "--defaults"),
    ADD: (
        *("fastapi_baseline", "add", "resource", "thing{number}"),
        *("name:string!", "price:decimal(12,2)", "--no-migration"),
    ),
}
RATIO = f"{SERVICE} / {BARE}, time"
CPU_RATIO = f"{SERVICE} / {BARE}, processor"
MOST = {RATIO: 1.5, f"{HELP}, s": 0.2, f"{NEW}, s": 2.0, f"{ADD}, s": 3.0}
PACKAGES = ("fastapi-baseline", "fastapi", "sqlalchemy", "uvicorn", "pydantic", "typer", "copier")


@dataclass(slots=True, kw_only=True)
class Starts:
    """What was measured, by name, in each round."""

    versions: Mapping[str, str]
    is_quick: bool
    servers: Mapping[str, Sequence[Start]]
    commands: Mapping[str, Sequence[Start]]
    figures: Mapping[str, float] = field(init=False)

    def __post_init__(self) -> None:
        """Derive the figures that are judged."""
        pairs = list(zip(self.servers[SERVICE], self.servers[BARE], strict=True))
        figures = {
            # Within a round both have seen the same machine.
            RATIO: statistics.median(one.wall / other.wall for one, other in pairs),
            CPU_RATIO: statistics.median(one.cpu / other.cpu for one, other in pairs),
            **{
                f"{name}, s": statistics.median(start.wall for start in starts)
                for name, starts in self.commands.items()
            },
        }
        self.figures = {name: round(value, 3) for name, value in figures.items()}

    def tables(self) -> Iterable[str]:
        """Return the lines of every table."""
        yield "\n" + f"{'':<34} " + " ".join(f"{head:>10}" for head in ("ms", "fastest", "CPU ms"))
        for name, starts in {**self.servers, **self.commands}.items():
            walls = [start.wall * 1e3 for start in starts]
            used = statistics.median(start.cpu * 1e3 for start in starts)
            yield f"{name:<34} {statistics.median(walls):10.0f} {min(walls):10.0f} {used:10.0f}"
        yield ""
        yield from (f"{name:<58} {value:10.4g}" for name, value in self.figures.items())

    def as_json(self) -> dict[str, Any]:
        """Return what is written."""
        measured = {**self.servers, **self.commands}
        return {
            "versions": self.versions,
            "is_quick": self.is_quick,
            "figures": self.figures,
            "milliseconds": {
                name: [round(start.wall * 1e3, 1) for start in starts]
                for name, starts in measured.items()
            },
            "cpu_milliseconds": {
                name: [round(start.cpu * 1e3, 1) for start in starts]
                for name, starts in measured.items()
            },
            "aims": {aim.name: aim.is_met for aim in self.aims()},
        }

    def aims(self) -> Sequence[Aim]:
        """Return every figure that should be something."""
        return [
            Aim(name=name, value=self.figures[name], bound="at most", goal=goal)
            for name, goal in MOST.items()
        ]


def main() -> int:
    """Measure, print tables, write the file, and return 0 if the aims are met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: to try, not to judge")
    is_quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory(prefix="baseline-start-") as folder:
        try:
            outcome = _measure(Path(folder), rounds=3 if is_quick else 15, is_quick=is_quick)
        except StartError as error:
            print(error)
            return 1
    return publish(outcome, name="start")


def _measure(folder: Path, *, rounds: int, is_quick: bool) -> Starts:
    # Resources are added to another one: that which is started stays as it is.
    for name in ("order-service", "growing-service"):
        until_it_ends(("fastapi_baseline", "new", name, "--defaults"), folder=folder)
    service = folder / "order-service"
    (folder / "bare.py").write_bytes((Path(__file__).parent / "_start/bare.py").read_bytes())
    where = {BARE: folder, HELP: folder, NEW: folder, ADD: folder / "growing-service"}
    servers: dict[str, list[Start]] = {name: [] for name in SERVERS}
    commands: dict[str, list[Start]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name in _in_turn(SERVERS, number):
            start = until_it_answers(SERVERS[name], folder=where.get(name, service))
            servers[name].append(start)
        for name in _in_turn(COMMANDS, number):
            command = [part.format(number=number) for part in COMMANDS[name]]
            commands[name].append(until_it_ends(command, folder=where.get(name, service)))
    return Starts(
        versions=versions(PACKAGES),
        is_quick=is_quick,
        # The first round has compiled what had not been compiled yet.
        servers={name: starts[1:] for name, starts in servers.items()},
        commands={name: starts[1:] for name, starts in commands.items()},
    )


def _in_turn(names: Iterable[str], number: int) -> Iterable[str]:
    ordered = list(names)
    return ordered if number % 2 == 0 else reversed(ordered)


if __name__ == "__main__":
    sys.exit(main())
