"""The enterprise baseline for FastAPI services.

The names below are imported when they are first used: the command line and the pytest plugin start
without loading the framework, and a part that is not used costs nothing.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- checkers cannot see what __getattr__ returns

if TYPE_CHECKING:
    from fastapi_baseline.app import create_app, install
    from fastapi_baseline.errors import (
        BaselineError,
        ConfigurationError,
        ConflictError,
        DeadlineExceededError,
        FieldError,
        ForbiddenError,
        InvalidRequestError,
        NotFoundError,
        PreconditionFailedError,
        PreconditionRequiredError,
        TooManyRequestsError,
        UnauthenticatedError,
        UnavailableError,
        UnprocessableError,
    )
    from fastapi_baseline.settings import DatabaseUrl, Settings

__version__ = "0.1.0"

__all__ = [
    "BaselineError",
    "ConfigurationError",
    "ConflictError",
    "DatabaseUrl",
    "DeadlineExceededError",
    "FieldError",
    "ForbiddenError",
    "InvalidRequestError",
    "NotFoundError",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "Settings",
    "TooManyRequestsError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnprocessableError",
    "create_app",
    "install",
]

_HOMES = {"create_app": "app", "install": "app", "DatabaseUrl": "settings", "Settings": "settings"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'errors')}")
    value: object = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
