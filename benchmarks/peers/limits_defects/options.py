"""Probes of how slowapi is configured, and of what it can be told."""

import contextlib
import inspect
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from fastapi import Request
from slowapi import Limiter
from slowapi.util import get_ipaddr, get_remote_address

from benchmarks.peers.defects.probe import Seen, probe
from benchmarks.peers.http_defects.serving import scope_of
from benchmarks.peers.limits_defects.limited import (
    ENVIRONMENT,
    PEER,
    application,
    limiter,
    statuses,
)


@probe("options_of_one_limiter", peer=PEER, environment=ENVIRONMENT)
async def options_of_one_limiter() -> Seen:
    """Change the options of one limiter, as its constructor does, and look at the next one's."""
    limiter()._storage_options["socket_timeout"] = "0.1"  # noqa: SLF001 - what it updates
    found = limiter()._storage_options  # noqa: SLF001 - what the next one begins with
    return Seen(bool(found), f"options that the next limiter did not get: {found}")


@probe("address_of_a_client", peer=PEER, environment=ENVIRONMENT)
async def address_of_a_client() -> Seen:
    """Send a header that no proxy writes, and ask over a Unix socket, which has no address."""
    forged = Request(scope_of(headers={"X_FORWARDED_FOR": "chosen by the client"}))
    local = Request({**scope_of(), "client": None})
    seen = {"forged": get_ipaddr(forged), "without an address": get_remote_address(local)}
    has_defect = seen["forged"] != "203.0.113.9" or seen["without an address"] == "127.0.0.1"
    return Seen(has_defect, f"{seen}")


_BEHIND = """
from slowapi import Limiter
from slowapi.util import get_remote_address
limiter = Limiter(key_func=get_remote_address)
print(limiter.enabled)
"""


@probe("settings_of_the_process", peer=PEER, environment=ENVIRONMENT)
async def settings_of_the_process() -> Seen:
    """Make a limiter in a folder whose `.env` is the service's own."""
    return _settings_of_the_process()


def _settings_of_the_process() -> Seen:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, ".env").write_text("RATELIMIT_ENABLED=false\n", encoding="utf-8")
        done = subprocess.run(
            (sys.executable, "-c", _BEHIND),
            capture_output=True,
            check=True,
            cwd=folder,
            # That of whoever runs the probes, as any process would get it.
            env=dict(os.environ),  # noqa: TID251 - a child's
            text=True,
        )
    is_enabled = done.stdout.strip()
    return Seen(
        is_enabled != "True", f"enabled, with RATELIMIT_ENABLED=false in .env: {is_enabled}"
    )


@probe("malformed_limits", peer=PEER, environment=ENVIRONMENT)
async def malformed_limits() -> Seen:
    """Declare limits that are none, as a default and on a route."""
    default, route = "refused", "refused"
    with contextlib.suppress(ValueError):
        app = application(limiter(default_limits=["many/minute"]))
        app.get("/")(_answer)
        default = f"taken, and a request is answered {await statuses(app, '/')}"
    with contextlib.suppress(ValueError):
        limiter().limit("many/minute")(_with_request)
        route = "taken, and nothing is limited"
    seen = f"as a default: {default}; on a route: {route}"
    return Seen({default, route} != {"refused"}, seen)


async def _answer() -> str:
    return "done"


async def _with_request(request: Request) -> str:
    return request.method


@probe("limits_that_only_count", peer=PEER, environment=ENVIRONMENT)
async def limits_that_only_count() -> Seen:
    """Look for what tries a limit out, gives back what was taken, or tells of a decision."""
    names = {*inspect.signature(Limiter.limit).parameters, *inspect.signature(Limiter).parameters}
    wanted = ("shadow", "dry_run", "refund", "failure_mode", "on_decision", "concurrency")
    found = sorted(name for name in (*wanted, *dir(Limiter)) if name in names and name in wanted)
    return Seen(not found, f"of {', '.join(wanted)}: {found or 'nothing'}")
