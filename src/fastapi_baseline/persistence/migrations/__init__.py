"""Migrations of the database, with Alembic.

A service has them in `alembic/versions`, and an `alembic/env.py` that calls `run_environment` with
its settings. `commands` is what the command line offers.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline._extras import optional

with optional("alembic", extra="persistence"):
    importlib.import_module("alembic")

if TYPE_CHECKING:
    from fastapi_baseline.persistence.migrations.environment import run_environment
    from fastapi_baseline.persistence.migrations.errors import (
        MigrationError,
        ModelsDifferError,
        MultipleHeadsError,
        NoChangesError,
        NotUpToDateError,
        UnknownRevisionError,
    )

__all__ = [
    "MigrationError",
    "ModelsDifferError",
    "MultipleHeadsError",
    "NoChangesError",
    "NotUpToDateError",
    "UnknownRevisionError",
    "run_environment",
]

_HOMES = {"run_environment": "environment"}

__getattr__, __dir__ = export_lazily(
    __name__, {name: _HOMES.get(name, "errors") for name in __all__}
)
