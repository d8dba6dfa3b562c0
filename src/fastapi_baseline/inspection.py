"""A service that is looked at instead of run: what is wrong with it, all at once.

A service that is set up wrongly does not start, and says why: the first thing that is wrong. Whoever
checks it wants to know of everything, so `create_app` and `install` say here what they make of which
settings, and what they would refuse to start with.
"""

from collections.abc import Collection, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from fastapi_baseline.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with how a service is set up.

    `id` is stable and public, in snake case. `what` and `remedy` are sentences; neither repeats a
    secret. `can_be_accepted` tells whether a service may say that it is meant so.
    """

    id: str
    what: str
    remedy: str
    can_be_accepted: bool = True

    @property
    def message(self) -> str:
        """Return both sentences."""
        return f"{self.what} {self.remedy}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a service does not start with, and by which ids checks find the same, if they do."""

    error: ConfigurationError
    known_as: frozenset[str] = frozenset()


@dataclass(slots=True)
class Inspection:
    """What was said of an application while it was made.

    `settings` are set even if the application could not be made of them, and of several
    applications the last one counts.
    """

    app: object = None
    settings: object = None
    refusals: list[Refusal] = field(default_factory=list[Refusal])


_inspection: ContextVar[Inspection | None] = ContextVar("inspection", default=None)


@contextmanager
def inspecting() -> Generator[Inspection]:
    """Collect what is said of applications that are made inside of this block."""
    inspection = Inspection()
    token = _inspection.set(inspection)
    try:
        yield inspection
    finally:
        _inspection.reset(token)


def note(*, app: object = None, settings: object = None) -> None:
    """Say which application is made, and of which settings, to whoever inspects it."""
    inspection = _inspection.get()
    if inspection is None:
        return
    if app is not None:
        inspection.app = app
    if settings is not None:
        inspection.settings = settings


@contextmanager
def refusing(*, known_as: Collection[str] = ()) -> Generator[None]:
    """Refuse to start, unless the service is inspected: then what follows is looked at, too.

    `known_as` are the ids by which checks find the same; it is shown once.

    Raises:
        ConfigurationError: If the block raises one, and nobody inspects.
    """
    try:
        yield
    except ConfigurationError as error:
        inspection = _inspection.get()
        if inspection is None:
            raise
        inspection.refusals.append(Refusal(error, frozenset(known_as)))
