"""Which service the command is called for."""

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fastapi_baseline.errors import ConfigurationError

FOUND_BY_DOCTOR = frozenset(
    {
        "git_not_ready",
        "library_not_as_locked",
        "lock_missing",
        "lock_unreadable",
        "python_not_supported",
        "settings_unknown",
        "template_file_edited",
        "template_file_missing",
        "template_unknown",
        "update_unfinished",
        "uv_missing",
        "variable_unknown",
    }
)
"""The findings of `baseline doctor`, which `baseline check` does not look for."""


def find_root(start: Path) -> Path | None:
    """Return the nearest folder, from `start` upwards, whose pyproject.toml names a service."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() and "baseline" in _tools(folder):
            return folder
    return None


def get_root(start: Path) -> Path:
    """Return the folder of the service that `start` lies in.

    Raises:
        ConfigurationError: If it lies in none.
    """
    root = find_root(start)
    if root is None:
        message = (
            f"There is no service in {start}: call this in the folder of one, "
            f"whose pyproject.toml has [tool.baseline]."
        )
        raise ConfigurationError(message)
    return root


def enter_service(start: Path) -> Path:
    """Work in the folder of the service that `start` lies in, and return it.

    Its code can be imported then, installed or not; relative paths, of its `.env` and its database,
    mean the same from wherever it is called.

    Raises:
        ConfigurationError: If it lies in none.
    """
    root = get_root(start)
    make_importable(root)
    os.chdir(root)
    return root


def enter_service_with_database(start: Path) -> Path:
    """Work in the folder of the service that `start` lies in, which has migrations; return it.

    Raises:
        ConfigurationError: If it lies in none, or in one without a database.
    """
    root = enter_service(start)
    if not (root / "alembic").is_dir():
        raise ConfigurationError(f"The service in {root} has no database: there is no alembic/.")
    return root


def read_accepted_findings(root: Path) -> Mapping[str, str]:
    """Return what `baseline check` may find in the service of a folder, each with the reason.

    That is the table `[tool.baseline.accepted-findings]` of its pyproject.toml.

    Raises:
        ConfigurationError: If one of them has no reason.
    """
    tools: dict[str, Any] = _tools(root)["baseline"]
    accepted: dict[str, str] = {}
    for name, reason in tools.get("accepted-findings", {}).items():
        if not isinstance(reason, str) or not reason.strip():
            message = (
                f"pyproject.toml accepts {name} without a reason: in "
                f'[tool.baseline.accepted-findings], {name} = "…"'
            )
            raise ConfigurationError(message)
        accepted[name] = reason
    return accepted


def make_importable(folder: Path) -> Path:
    """Let modules be imported from `src` in a folder, or else from itself; return which it is."""
    source = folder / "src" if (folder / "src").is_dir() else folder
    sys.path.insert(0, str(source))
    return source


def _tools(folder: Path) -> dict[str, Any]:
    path = folder / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    tools = project.get("tool")
    return cast("dict[str, Any]", tools) if isinstance(tools, dict) else {}
