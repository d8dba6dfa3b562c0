"""What the probes share: a registry, and a client."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

import httpx


class Seen(NamedTuple):
    """Whether a peer has the defect, and what shows it."""

    has_defect: bool
    observed: str


def defect(observed: str) -> Seen:
    """Return that the peer has the defect."""
    return Seen(has_defect=True, observed=observed)


def sound(observed: str) -> Seen:
    """Return that the peer does not have the defect."""
    return Seen(has_defect=False, observed=observed)


Run = Callable[[], Awaitable[Seen]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A reproduction of one line of the contract against one peer."""

    line: str
    peer: str
    environment: str
    run: Run


PROBES: list[Probe] = []


def probe(line: str, *, peer: str, environment: str = "current") -> Callable[[Run], Run]:
    """Register what reproduces a line against a peer."""

    def register(run: Run) -> Run:
        PROBES.append(Probe(line=line, peer=peer, environment=environment, run=run))
        return run

    return register


def client(app: Callable[..., Awaitable[None]]) -> httpx.AsyncClient:
    """Return a client of an application; an exception in it is a 500, as behind a server."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://peer")
