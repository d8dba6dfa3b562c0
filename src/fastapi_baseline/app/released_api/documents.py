"""The file that has the OpenAPI document of the last release."""

import json
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from fastapi_baseline.app.released_api.operations import find_breaks
from fastapi_baseline.app.released_api.schemas import Document
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding


def find_broken_promises(app: FastAPI, released: Path) -> Iterator[Finding]:
    """Give what callers of the released API would miss in this application."""
    try:
        document, current = read_released(released), _document_of(app)
    except ConfigurationError as error:
        yield Finding(
            id="openapi_unreadable",
            what=error.message,
            remedy="Write it: baseline check --update-openapi",
            can_be_accepted=False,
        )
        return
    for sentence in find_breaks(document, current):
        yield Finding(
            id="openapi_broken",
            what=sentence,
            remedy="Keep what was released, or release this: baseline check --update-openapi",
            can_be_accepted=False,
        )


def configured_document(root: Path) -> Path | None:
    """Return where the released document of the service in `root` is, as its pyproject.toml says.

    That is `openapi` of `[tool.baseline]`; without it, nothing was released.

    Raises:
        ConfigurationError: If it cannot be read, or is no path.
    """
    path = root / "pyproject.toml"
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    name = project.get("tool", {}).get("baseline", {}).get("openapi")
    if name is None:
        return None
    if not isinstance(name, str) or not name:
        message = f'{path} names no file for the released document: [tool.baseline] openapi = "…"'
        raise ConfigurationError(message)
    return root / name


def read_released(path: Path) -> Document:
    """Return the document of a file.

    Raises:
        ConfigurationError: If there is none, or it is no OpenAPI document in JSON.
    """
    try:
        document: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"There is no released OpenAPI document {path}.") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} is not JSON: {error}.") from error
    if not isinstance(document, dict) or not {"openapi", "paths"} <= document.keys():
        raise ConfigurationError(f"{path} is no OpenAPI document.")
    return cast("Document", document)


def release(app: FastAPI, path: Path) -> bool:
    """Write the document of an application to a file, whole or not at all; return if it changed.

    Raises:
        ConfigurationError: If it cannot be made or written.
    """
    text = json.dumps(_document_of(app), ensure_ascii=False, indent=2) + "\n"
    temporary = path.with_name(f".{path.name}.new")
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise ConfigurationError(f"{path} cannot be written: {error}") from error
    return True


def _document_of(app: FastAPI) -> Document:
    try:
        return app.openapi()
    except Exception as error:
        # A type of the service that has no schema, mostly; it is found when somebody asks.
        said = " ".join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f"The OpenAPI document cannot be made. {said}") from error
