"""Run the probes of an environment, and print the outcomes as JSON: the name is its argument."""

import asyncio
import importlib
import json
import logging
import platform
import sqlite3
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version

from benchmarks._defects import Outcome
from benchmarks.peers.defects.probe import PROBES, Probe

_MODULES = {
    "current": ("advanced_alchemy", "fastapi_pagination", "fastcrud"),
    "older": ("advanced_alchemy_older", "fastapi_filter", "sqlalchemy_older"),
}
# What the outcome of a probe may depend on, beside the peer itself.
_BESIDE = ("fastapi", "sqlalchemy")


def main() -> None:
    """Run what the environment is for."""
    warnings.simplefilter("ignore")
    logging.disable()
    (environment,) = sys.argv[1:]
    for name in _MODULES[environment]:
        importlib.import_module(f"benchmarks.peers.defects.{name}")
    chosen = [probe for probe in PROBES if probe.environment == environment]
    print(json.dumps([asdict(outcome) for outcome in _run(chosen)]))


def _run(probes: Sequence[Probe]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for probe in probes:
        print(f"{probe.peer}: {probe.line}", file=sys.stderr, flush=True)
        has_defect, observed = asyncio.run(probe.run())
        outcomes.append(
            Outcome(
                line=probe.line,
                peer=probe.peer,
                has_defect=has_defect,
                observed=observed,
                versions=_versions(probe.peer),
            )
        )
    return outcomes


def _versions(peer: str) -> dict[str, str]:
    return {
        **{name: version(name) for name in (peer, *_BESIDE)},
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    }


if __name__ == "__main__":
    main()
