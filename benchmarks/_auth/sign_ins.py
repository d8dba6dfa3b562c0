"""What fifty sign-ins at a time take: how long the event loop stands still, and memory."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from httpx2 import AsyncClient

from benchmarks._auth.users import PASSWORD, USERS, WORKERS, email_of
from benchmarks._frozen import ask_gap
from benchmarks._http.load import LoadError, cores
from benchmarks._http.servers import Server, running

_OK = 200
_MIB_OF_A_HASH = 64
# What the requests hold beside that, of which there are many at a time.
_MIB_OF_ALL_REQUESTS = 4
_HEADERS = {"Sec-Fetch-Site": "same-origin", "X-Requested-With": "benchmark"}
_GAP = f"gap of the event loop during {USERS} sign-ins, ms"
_MEMORY = f"memory above idle during {USERS} sign-ins, MiB"
AIMS = {_GAP: 50.0, _MEMORY: float(_MIB_OF_A_HASH * WORKERS + _MIB_OF_ALL_REQUESTS)}


def measure() -> dict[str, float]:
    """Return figures of all sign-ins at once, each of another user.

    Raises:
        LoadError: If one of them fails.
    """
    here, _ = cores()
    service = running("benchmarks._auth.serve_users", "users", core=here, ready="/livez")
    with service as server:
        # What the first ones bring about, such as memory that is kept, is not what they take.
        asyncio.run(_sign_in(server, range(USERS)))
        ask_gap(server)
        before = server.memory_mib()
        _forget_peak(server)
        started = time.monotonic()
        asyncio.run(_sign_in(server, range(USERS)))
        taken = time.monotonic() - started
        return {
            _GAP: round(ask_gap(server), 3),
            _MEMORY: round(_peak_mib(server) - before, 1),
            f"seconds for {USERS} sign-ins with {WORKERS} workers": round(taken, 2),
        }


async def _sign_in(server: Server, numbers: Sequence[int]) -> None:
    async with AsyncClient(base_url=server.address, headers=_HEADERS, timeout=60) as client:
        posts = (
            client.post("/auth/sign-in", json={"email": email_of(number), "password": PASSWORD})
            for number in numbers
        )
        found = {answer.status_code for answer in await asyncio.gather(*posts)}
    if found != {_OK}:
        raise LoadError(f"sign-ins are answered with {sorted(found)}")


def _forget_peak(server: Server) -> None:
    """Let the most that the process has held of memory be what it holds now (proc(5))."""
    Path(f"/proc/{server.process}/clear_refs").write_text("5", encoding="ascii")


def _peak_mib(server: Server) -> float:
    status = Path(f"/proc/{server.process}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
