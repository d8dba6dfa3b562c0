"""The enterprise baseline for FastAPI services.

The names below are imported when they are first used: the command line and the pytest plugin start
without loading the framework, and a part that is not used costs nothing.
"""

from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily

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

__version__ = "0.2.0"

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

__getattr__, __dir__ = export_lazily(
    __name__, {name: _HOMES.get(name, "errors") for name in __all__}
)
