"""Who may use the service: nobody without a token, and everybody for what theirs is good for."""

from collections.abc import Callable
from dataclasses import replace

from demo_stage import Screen, Service, StepFailedError, exchange

WRITER = ("--scope", "items:read", "--scope", "items:write")
LAMP = {"name": "Night lamp", "quantity": 0}


def show_callers(screen: Screen, service: Service, ask_baseline: Callable[..., str]) -> Service:
    """Show a 401, a 403 and a 200, and return the service as somebody asks it who may do all.

    Raises:
        StepFailedError: If somebody is let in who should not be, or the other way round.
    """
    refused = exchange(screen, service, ("GET", "/items"), expected=401)
    challenge = refused.headers.get("www-authenticate", "")
    if not challenge.startswith("Bearer") or "error=" in challenge:
        raise StepFailedError(f"The challenge should ask for a token, and is {challenge!r}.")
    screen.done(f"Without a token nobody is let in: WWW-Authenticate: {challenge}")
    reader = replace(service, token=ask_baseline("auth", "token", "--scope", "items:read").strip())
    screen.detail("TOKEN=$(baseline auth token --scope items:read)")
    exchange(screen, reader, ("GET", "/items"), expected=200)
    denied = exchange(screen, reader, ("POST", "/items"), body=LAMP, expected=403)
    challenge = denied.headers.get("www-authenticate", "")
    if 'scope="items:write"' not in challenge:
        raise StepFailedError(f"The challenge should name what is missing: {challenge!r}.")
    screen.done(f"A token to read with does not write: WWW-Authenticate: {challenge}")
    altered = f"{reader.token}"[:-6] + "AAAAAA"
    exchange(screen, replace(service, token=altered), ("GET", "/items"), expected=401)
    screen.done("A token that was altered is none")
    return replace(service, token=ask_baseline("auth", "token", *WRITER).strip())
