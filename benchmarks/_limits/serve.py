"""Serve a contender on a core: `python -m benchmarks._limits.serve NAME --port 8000 --core 0`."""

from benchmarks._limits.apps import NAMES, make
from benchmarks._serve_with_redis import main

if __name__ == "__main__":
    main(make, names=NAMES, description=__doc__)
