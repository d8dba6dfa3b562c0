"""What the data layer costs, beside raw SQLAlchemy and the libraries that it is compared with.

It runs in the environment that BENCHMARK_PEERS names by its interpreter, where those libraries are;
`nox -s bench -- data` makes it. Options: `--quick` takes small tables, to try; `--chart` also draws
the chart that the documentation shows.
"""

import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Measure, print tables, and return 0 if the goals are met, else 1."""
    # Whoever made the environment says where it is.
    python = os.environ.get("BENCHMARK_PEERS", sys.executable)  # noqa: TID251 - set by the session
    command = (python, "-m", "benchmarks._data.run", *sys.argv[1:])
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[1]).returncode


if __name__ == "__main__":
    sys.exit(main())
