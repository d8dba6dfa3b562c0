"""Serve a contender on a core: `python -m benchmarks._limits.serve NAME --port 8000 --core 0`."""

import argparse
import os

from benchmarks._frozen import LoopGaps
from benchmarks._http.serve import serve
from benchmarks._limits.apps import NAMES, make


def main() -> None:
    """Serve until the process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--redis")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    serve(LoopGaps(make(options.name, redis=options.redis)), port=options.port, frozen=True)


if __name__ == "__main__":
    main()
