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
    "current": ("defects.advanced_alchemy", "defects.fastapi_pagination", "defects.fastcrud"),
    "older": (
        "defects.advanced_alchemy_older",
        "defects.fastapi_filter",
        "defects.sqlalchemy_older",
    ),
    "http": (
        "http_defects.errors_and_ids",
        "http_defects.measuring",
        "http_defects.processes",
        "http_defects.bodies",
        "http_defects.idempotent",
        "http_defects.operating",
    ),
    "limits": (
        "limits_defects.routes",
        "limits_defects.outages",
        "limits_defects.answers",
        "limits_defects.options",
        "limits_defects.engines",
        "limits_defects.dependencies",
    ),
    "cache": (
        "cache_defects.keys",
        "cache_defects.stored",
        "cache_defects.headers",
        "cache_defects.flights",
        "cache_defects.backends",
        "cache_defects.layers",
    ),
    "auth": (
        "auth_defects.signatures",
        "auth_defects.claims",
        "auth_defects.textbook_tokens",
        "auth_defects.users_tokens",
        "auth_defects.cookies",
        "auth_defects.accounts",
    ),
}
# What the outcome of a probe may depend on, beside the peer itself.
_BESIDE = {
    "http": ("fastapi", "starlette"),
    "limits": ("fastapi", "redis"),
    "cache": ("fastapi", "redis"),
    "auth": ("fastapi", "joserfc"),
}
# Peers that are no distribution themselves, and whose release they come with.
_PART_OF = {"FastAPI's tutorial": "fastapi"}
_DATABASE = ("fastapi", "sqlalchemy")


def main() -> None:
    """Run what the environment is for."""
    warnings.simplefilter("ignore")
    logging.disable()
    (environment,) = sys.argv[1:]
    for name in _MODULES[environment]:
        importlib.import_module(f"benchmarks.peers.{name}")
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
                versions=_versions(probe),
            )
        )
    return outcomes


def _versions(probe: Probe) -> dict[str, str]:
    beside = _BESIDE.get(probe.environment, _DATABASE)
    found = {name: version(_PART_OF.get(name, name)) for name in (probe.peer, *beside)}
    found["Python"] = platform.python_version()
    if beside is _DATABASE:
        found["SQLite"] = sqlite3.sqlite_version
    return found


if __name__ == "__main__":
    main()
