"""What a hit of the cache costs, beside a bare route and fastapi-cache2, and what an outage does.

It runs in the environment that BENCHMARK_CACHE_PEERS names by its interpreter, where the peers are
pinned; `nox -s bench -- cache` makes it. The load is made by wrk (on Debian: `apt-get install
wrk`), on a core of its own. Option: `--quick` makes short runs, to try.
"""

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Measure, print tables, and return 0 if the aims are met, else 1."""
    # Whoever made the environment says where it is.
    python = os.environ.get("BENCHMARK_CACHE_PEERS", sys.executable)  # noqa: TID251 - set by the session
    command = (python, "-m", "benchmarks._cache.run", *sys.argv[1:])
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[1]).returncode


if __name__ == "__main__":
    sys.exit(main())
