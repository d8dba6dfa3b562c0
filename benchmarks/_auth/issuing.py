"""How many tokens a service issues in a second, on one core, with what it keeps in PostgreSQL."""

import asyncio
import os
import statistics
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

from benchmarks._auth import issuer
from benchmarks._http.load import burst, cores
from benchmarks._http.servers import Server, running
from benchmarks._rounds import Effort, say
from fastapi_baseline.testing.postgres import postgres_server

CLIENT_CREDENTIALS = "client_credentials_per_s"
CODE_EXCHANGES = "code_exchanges_per_s"
LEAST = {CLIENT_CREDENTIALS: 300.0, CODE_EXCHANGES: 150.0}
_MOST_IN_A_SECOND = 700
_LONGEST = 4.0
_ROUNDS = 3
_CONNECTIONS = 8


def measure(effort: Effort) -> dict[str, float]:
    """Return how many requests of either kind are answered in a second, by the median of rounds.

    Raises:
        LoadError: If one of them is refused.
    """
    here, there = cores()
    seconds, rounds = min(effort.seconds, _LONGEST), min(effort.rounds, _ROUNDS)
    count = round(seconds * _MOST_IN_A_SECOND)
    found: dict[str, list[float]] = {CLIENT_CREDENTIALS: [], CODE_EXCHANGES: []}
    allowed = os.sched_getaffinity(0)
    # The database starts where the load is, and stays there.
    os.sched_setaffinity(0, {there})
    with postgres_server() as postgres, postgres.database() as url, TemporaryDirectory() as folder:
        os.sched_setaffinity(0, allowed)
        seeded = asyncio.run(issuer.seed(url, codes=count * rounds))
        forms = Path(folder, "forms")
        service = running("benchmarks._auth.serve_issuer", url, core=here, ready="/livez")
        with service as server:
            for number in range(rounds):
                say(f"tokens: {number + 1} of {rounds}")
                _write(forms, [seeded.credentials])
                found[CLIENT_CREDENTIALS].append(_ask(server, forms, seconds))
                _write(forms, seeded.exchanges[number * count : (number + 1) * count])
                found[CODE_EXCHANGES].append(_ask(server, forms, seconds))
    return {name: round(statistics.median(each), 1) for name, each in found.items()}


def _write(forms: Path, fields: Iterable[dict[str, str]]) -> None:
    forms.write_text("".join(f"{urlencode(one)}\n" for one in fields), encoding="ascii")


def _ask(server: Server, forms: Path, seconds: float) -> float:
    _, there = cores()
    return burst(
        f"{server.address}/oauth2/token",
        seconds=seconds,
        connections=_CONNECTIONS,
        core=there,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        forms=forms,
    ).rps
