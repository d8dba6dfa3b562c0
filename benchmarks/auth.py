"""What it costs to know who is asking: tokens beside joserfc alone, sessions, a storm, and sign-ins.

The load is made by wrk (on Debian: `apt-get install wrk`), on a core of its own. Option: `--quick`
makes short runs, to try.
"""

import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Measure, print tables, and return 0 if the aims are met, else 1."""
    # A process of its own: what other benchmarks have imported would be in its memory.
    command = (sys.executable, "-m", "benchmarks._auth.run", *sys.argv[1:])
    return subprocess.run(command, check=False, cwd=Path(__file__).parents[1]).returncode


if __name__ == "__main__":
    sys.exit(main())
