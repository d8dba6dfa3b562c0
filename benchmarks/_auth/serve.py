"""Serve a contender on a core: `python -m benchmarks._auth.serve NAME --port 8000 --core 0`."""

import json
import os
import urllib.request

from benchmarks._auth.apps import NAMES, Places, make
from benchmarks._http.serve import options_of, serve


def main() -> None:
    """Serve until the process is told to stop."""
    parser = options_of(NAMES, description=__doc__)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--redis", default="")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    with urllib.request.urlopen(f"{options.issuer}/jwks") as answer:  # noqa: S310 - of this machine
        keys = json.load(answer)
    places = Places(issuer=options.issuer, keys=keys, redis=options.redis)
    serve(make(options.name, places), port=options.port, frozen=True)


if __name__ == "__main__":
    main()
