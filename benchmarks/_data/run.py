"""The data benchmark itself, in an environment that may have the peers: `--quick`, `--chart`."""

import argparse
import asyncio
import importlib
import importlib.util
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import Any

from benchmarks._data import ours, raw
from benchmarks._data.backends import Backend, backends, server_versions
from benchmarks._data.contention import Check, contention, crowd, memory, visibility
from benchmarks._data.measure import Case, Operation, measure
from benchmarks._data.models import QUICK, Sizes
from benchmarks._data.report import Report, versions
from benchmarks._data.rows import rows
from benchmarks._data.table import OURS, RAW, Measured

_PEERS = {
    "advanced-alchemy": ("advanced_alchemy", "with_advanced_alchemy"),
    "fastcrud": ("fastcrud", "with_fastcrud"),
    "fastapi-pagination": ("fastapi_pagination", "with_fastapi_pagination"),
}


def main() -> int:
    """Measure, print a table, write the files, and return 0 if the goals are met, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small tables: to try, not to judge")
    parser.add_argument("--chart", action="store_true", help="draw the chart of the documentation")
    options = parser.parse_args()
    report = asyncio.run(_run(QUICK if options.quick else Sizes()))
    report.is_quick = options.quick
    report.write(draws_documentation=options.chart)
    return report.judge()


def _say(text: str) -> None:
    print(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", file=sys.stderr, flush=True)


_STARTED = time.monotonic()


def _sides() -> dict[str, ModuleType]:
    """Return what has operations, by contender; peers that are not installed are left out."""
    sides = {RAW: raw, OURS: ours}
    for name, (package, module) in _PEERS.items():
        if importlib.util.find_spec(package) is None:
            print(f"{name} is not installed here, and left out: use `nox -s bench -- data`")
        else:
            sides[name] = importlib.import_module(f"benchmarks.peers.{module}")
    return sides


async def _run(sizes: Sizes) -> Report:
    sides = _sides()
    async with backends(sizes, _say) as found:
        report = Report(
            versions={**versions(), **await server_versions(found)}, copied=sizes.bulk[-1]
        )
        for backend in found:
            _say(f"measuring on {backend.name}")
            async with backend.ours() as session:
                cursor = await ours.deep_cursor(session, sizes)
            operations = _operations(sides, backend, sizes, cursor=cursor)
            report.measured += await _measure(backend, operations, sizes)
        for backend in found:
            if not backend.latency_ms:
                _say(f"checking what is right on {backend.name}")
                report.checks += await _check(sides, backend, sizes)
        _say("checking 50 writers on SQLite")
        increases = {
            name: side.increase for name, side in sides.items() if hasattr(side, "increase")
        }
        report.checks += await crowd(increases, ours=OURS)
    return report


def _operations(
    sides: Mapping[str, Any], backend: Backend, sizes: Sizes, *, cursor: str | None = None
) -> dict[str, Mapping[str, Operation]]:
    return {
        name: side.operations(backend.keys, sizes, **({"cursor": cursor} if name == OURS else {}))
        for name, side in sides.items()
    }


async def _measure(
    backend: Backend, operations: Mapping[str, Mapping[str, Operation]], sizes: Sizes
) -> list[Measured]:
    measured: list[Measured] = []
    for row in rows(sizes):
        if backend.latency_ms and not row.with_latency:
            continue
        cases = {
            name: Case(
                sessions=backend.ours if name == OURS else backend.plain,
                operation=known[row.operation],
            )
            for name, known in operations.items()
            if row.operation in known
        }
        if row.beside:
            other = operations[OURS][row.beside]
            cases[f"{OURS}: {row.beside}"] = Case(sessions=backend.ours, operation=other)
        _say(f"{backend.name}: {row.number} {row.name}")
        timings, failures = await measure(
            cases, row.way, rounds=sizes.rounds, seconds=sizes.row_seconds
        )
        measured.append(
            Measured(
                row=row,
                backend=backend.name,
                latency_ms=backend.latency_ms,
                timings=timings,
                failures=failures,
            )
        )
    return measured


async def _check(sides: Mapping[str, Any], backend: Backend, sizes: Sizes) -> list[Check]:
    able = {name: side for name, side in sides.items() if hasattr(side, "contend")}
    begins = {
        name: backend.database.transaction if name == OURS else backend.make.begin for name in able
    }
    contenders = {name: (begins[name], side.contend) for name, side in able.items()}
    checks = await contention(backend, contenders, increments=sizes.increments)
    applications = {
        name: side.application(backend.database if name == OURS else backend.engine)
        for name, side in able.items()
    }
    checks += await visibility(backend, applications, posts=sizes.posts)
    tenfold = replace(sizes, deleted=sizes.deleted * 10)
    few = _operations(able, backend, sizes)
    many = _operations(able, backend, tenfold)
    deleting = {
        name: (
            backend.ours if name == OURS else backend.plain,
            few[name]["delete_where"],
            many[name]["delete_where"],
        )
        for name in able
    }
    return checks + await memory(backend, deleting, rows=sizes.deleted)


if __name__ == "__main__":
    sys.exit(main())
