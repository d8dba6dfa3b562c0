"""Serves a contender that may ask Redis: what the servers of the cache and the limits share."""

import os
from collections.abc import Collection
from typing import Protocol

from starlette.types import ASGIApp

from benchmarks._frozen import LoopGaps
from benchmarks._http.serve import options_of, serve


class Make(Protocol):
    """Makes the application of a contender."""

    def __call__(self, name: str, *, redis: str | None) -> ASGIApp:
        """Return it; `redis` is the URL of those that need one."""
        ...


def main(make: Make, *, names: Collection[str], description: str | None) -> None:
    """Serve the contender that is named until the process is told to stop."""
    parser = options_of(names, description=description)
    parser.add_argument("--redis")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    serve(LoopGaps(make(options.name, redis=options.redis)), port=options.port, frozen=True)
