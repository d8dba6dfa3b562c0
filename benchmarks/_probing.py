"""Run the probes of peers, and record what each was seen to do on the lines of a contract."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import _auth_defects, _cache_defects, _defects, _http_defects, _limits_defects
from benchmarks._defects import Line, Outcome

FOLDER = Path(__file__).parent / "peers"
ROOT = FOLDER.parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The lines that one part of the library keeps, and where it is written what peers do."""

    lines: Mapping[str, Line]
    title: str
    how: str
    beside: Sequence[str]
    """What the outcome of a probe may depend on, beside the peer."""
    file: str
    environments: Sequence[str]

    @property
    def results(self) -> Path:
        """Return the file that programs read."""
        return FOLDER / f"{self.file}.json"

    @property
    def table(self) -> Path:
        """Return the file that people read."""
        return FOLDER / f"{self.file}.md"


CONTRACTS: Sequence[Contract] = (
    Contract(
        lines=_defects.LINES,
        title="What peers do on the lines of the data layer's contract",
        how="on SQLite, through their public API",
        beside=("fastapi", "sqlalchemy"),
        file="defects",
        environments=("current", "older"),
    ),
    Contract(
        lines=_http_defects.LINES,
        title="What peers do on the lines of the HTTP stack's contract",
        how="as their documentation sets them up",
        beside=("fastapi", "starlette"),
        file="http-defects",
        environments=("http",),
    ),
    Contract(
        lines=_limits_defects.LINES,
        title="What peers do on the lines of the contract of rate limiting",
        how="as their documentation sets them up",
        beside=("fastapi", "redis"),
        file="limits-defects",
        environments=("limits",),
    ),
    Contract(
        lines=_cache_defects.LINES,
        title="What peers do on the lines of the contract of caching",
        how="as their documentation sets them up",
        beside=("fastapi", "redis"),
        file="cache-defects",
        environments=("cache",),
    ),
    Contract(
        lines=_auth_defects.LINES,
        title="What peers do on the lines of the contract of authentication",
        how="as their documentation sets them up",
        beside=("fastapi", "joserfc"),
        file="auth-defects",
        environments=("auth",),
    ),
)


def main() -> int:
    """Run the probes with each interpreter that is named, and write the files of results.

    Return 1 if a line names a test that does not exist or that no peer was probed for, else 0.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environments", nargs="+", metavar="NAME=PYTHON")
    pythons: dict[str, str] = {}
    for environment in parser.parse_args().environments:
        name, _, python = environment.partition("=")
        pythons[name] = python
    problems: list[str] = []
    for contract in CONTRACTS:
        named = [name for name in contract.environments if name in pythons]
        if named:
            outcomes = [found for name in named for found in _run(pythons[name], name)]
            _write(contract, outcomes)
            problems += _problems(contract, outcomes)
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _run(python: str, name: str) -> Iterable[Outcome]:
    done = subprocess.run(
        (python, "-m", "benchmarks.peers.defects", name),
        check=True,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return [Outcome(**found) for found in json.loads(done.stdout)]


def _write(contract: Contract, outcomes: list[Outcome]) -> None:
    order = list(contract.lines)
    outcomes.sort(key=lambda outcome: (order.index(outcome.line), outcome.peer))
    found = [asdict(outcome) for outcome in outcomes]
    text = json.dumps(found, indent=2, ensure_ascii=False)
    contract.results.write_text(f"{text}\n", encoding="utf-8")
    contract.table.write_text(render(contract, outcomes), encoding="utf-8")
    defects = sum(outcome.has_defect for outcome in outcomes)
    print(f"{defects} defects in {len(outcomes)} probes: {contract.table}")


def render(contract: Contract, outcomes: Sequence[Outcome]) -> str:
    """Return the table of what was seen, in Markdown."""
    names = {
        "fastapi": "FastAPI",
        "joserfc": "joserfc",
        "redis": "redis-py",
        "sqlalchemy": "SQLAlchemy",
        "starlette": "Starlette",
    }
    lines = [
        f"# {contract.title}",
        "",
        f"Written by `nox -s defects`. Each line was run against the peers {contract.how}. What this",
        "library does is shown by the test of the line.",
        "",
        f"| Line, and our test | Peer | With {', '.join(names[n] for n in contract.beside)} | Defect | Seen |",
        "|---|---|---|---|---|",
    ]
    for name, line in contract.lines.items():
        cell = f"{line.says}<br>`{line.test.rpartition('::')[2]}`"
        for outcome in (outcome for outcome in outcomes if outcome.line == name):
            versions = outcome.versions
            peer = f"{outcome.peer} {versions[outcome.peer]}"
            beside = ", ".join(versions[other] for other in contract.beside)
            verdict = "**yes**" if outcome.has_defect else "no"
            seen = outcome.observed.replace("|", r"\|")
            lines.append(f"| {cell} | {peer} | {beside} | {verdict} | {seen} |")
            cell = ""
    return "\n".join([*lines, ""])


def _problems(contract: Contract, outcomes: Sequence[Outcome]) -> Iterable[str]:
    """Return what is wrong with the lines themselves."""
    probed = {outcome.line for outcome in outcomes}
    for name, line in contract.lines.items():
        path, _, test = line.test.partition("::")
        file = ROOT / path
        text = file.read_text("utf-8") if file.is_file() else ""
        if not text or (test and f"def {test}(" not in text):
            yield f"No such test: {line.test}"
        if name not in probed:
            yield f"No peer was probed: {name}"


if __name__ == "__main__":
    sys.exit(main())
