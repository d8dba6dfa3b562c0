"""What a limit costs, beside a bare route and slowapi, and what an outage of Redis does.

It runs in the environment that BENCHMARK_LIMITS_PEERS names by its interpreter, where slowapi is
pinned; `nox -s bench -- limits` makes it. The load is made by wrk (on Debian: `apt-get install
wrk`), on a core of its own. Option: `--quick` makes short runs, to try.
"""

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Measure, print tables, and return 0 if the aims are met, else 1."""
    # Whoever made the environment says where it is.
    python = os.environ.get("BENCHMARK_LIMITS_PEERS", sys.executable)  # noqa: TID251 - set by the session
    command = (python, "-m", "benchmarks._limits.run", *sys.argv[1:])
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[1]).returncode


if __name__ == "__main__":
    sys.exit(main())
