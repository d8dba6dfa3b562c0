"""Serve a contender on a core: `python -m benchmarks._http.serve NAME --port 8000 --core 0`."""

import argparse
import gc
import os
from collections.abc import Collection

import uvicorn
from starlette.types import ASGIApp

from benchmarks._http.apps import NAMES, TRUSTED, Wanted, make


def main() -> None:
    """Serve until the process is told to stop."""
    parser = options_of(NAMES, description=__doc__)
    parser.add_argument("--routes", type=int, default=10)
    parser.add_argument("--collector")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    app = make(options.name, Wanted(routes=options.routes, collector=options.collector))
    # The peers' client address comes from the server; ours is a layer, and bare has none.
    serve(app, port=options.port, proxied=options.name.startswith("peers"))


def options_of(names: Collection[str], *, description: str | None) -> argparse.ArgumentParser:
    """Return what reads which contender is to be served, at which port and on which core."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("name", choices=names)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    return parser


def serve(app: ASGIApp, *, port: int, proxied: bool = False, frozen: bool = False) -> None:
    """Serve an application until the process is told to stop.

    If what exists is `frozen`, full garbage collections pass over it: they depend on all that has
    been imported, also for other contenders.
    """
    if frozen:
        gc.collect()
        gc.freeze()
    uvicorn.run(
        app,
        port=port,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=proxied,
        forwarded_allow_ips=TRUSTED,
    )


if __name__ == "__main__":
    main()
