"""Serve what issues tokens: `python -m benchmarks._auth.serve_issuer DATABASE --port 8000 --core 0`."""

import argparse
import os

from benchmarks._auth import issuer
from benchmarks._http.serve import serve


def main() -> None:
    """Serve until the process is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("database", help="the URL of the database that was seeded")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--core", type=int, required=True)
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    serve(issuer.make(options.database), port=options.port, frozen=True)


if __name__ == "__main__":
    main()
