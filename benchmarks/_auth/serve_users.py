"""Serve users: `python -m benchmarks._auth.serve_users users --port 8000 --core 0`.

It has all cores: passwords are hashed in threads, and are not to wait for each other.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks._auth import users
from benchmarks._frozen import LoopGaps
from benchmarks._http.serve import serve


def main() -> None:
    """Serve until the process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=("users",))
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, required=True, help="not looked at")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        serve(LoopGaps(users.make(Path(folder))), port=options.port)


if __name__ == "__main__":
    main()
