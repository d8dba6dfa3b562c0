"""What must be right of a service that people depend on, as each of its features knows it.

A check is a function from a `Deployment` to findings; `baseline check --deploy` runs those of the
library, and those that were added to the application.

    def check_payment_key(deployment: Deployment) -> Iterator[Finding]:
        if deployment.settings.payment_key is None:
            yield Finding(id="payment_key_missing", what="...", remedy="Set PAYMENT_KEY.")

    app = create_app(settings)
    add_deployment_checks(app, check_payment_key)
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI

from fastapi_baseline.inspection import Finding
from fastapi_baseline.settings import Settings

SHORTEST_SECRET = 32
"""How many characters a secret has that the service makes up itself."""

_ATTRIBUTE = "deployment_checks"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_FEWEST_DIFFERENT = 8  # A random one in hexadecimal has 14 of 16 different characters mostly.
# What stands in examples, in any spelling; no word that random characters have by accident.
_PLACEHOLDER = re.compile(
    r"change.?(?:me|this|it|in)|replace.?(?:me|this)|your.?(?:secret|key|token|password)"
    r"|example|placeholder|insecure|default|password|123456|development|(?:top|my|a|the).?secret",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is checked.

    `app` is `None` if it could not be made of the settings: a check that asks for it then finds
    nothing.
    """

    app: FastAPI | None
    settings: Settings


DeploymentCheck = Callable[[Deployment], Iterable[Finding]]
"""Finds what is wrong, and connects to nothing; it may be called where nothing else runs."""


def add_deployment_checks(app: FastAPI, *checks: DeploymentCheck) -> None:
    """Have `baseline check --deploy` run these, too."""
    setattr(app.state, _ATTRIBUTE, [*_added(app.state), *checks])


def added_checks(app: FastAPI) -> Sequence[DeploymentCheck]:
    """Return those that were added to an application."""
    return _added(app.state)


def _added(state: Any) -> Sequence[DeploymentCheck]:
    return getattr(state, _ATTRIBUTE, ())


def find_weakness(secret: str, *, shortest: int = SHORTEST_SECRET) -> str | None:
    """Return why somebody could guess a secret, to follow its name, or `None`."""
    if len(secret) < shortest:
        return f"has less than {shortest} characters"
    if _PLACEHOLDER.search(secret):
        return "is the placeholder of an example"
    if len(set(secret)) < min(_FEWEST_DIFFERENT, shortest):
        return "repeats a few characters"
    return None


def is_https(url: str) -> bool:
    """Return whether what is sent to a URL is encrypted on its way."""
    return _scheme(url) == "https"


def stays_here(url: str) -> bool:
    """Return whether what is sent to a URL is encrypted, or does not leave the machine."""
    try:
        return is_https(url) or urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""
