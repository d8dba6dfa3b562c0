"""What to see to before a service is deployed with another version of the library."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fastapi_baseline._extras import optional
from fastapi_baseline.cli.config import find_service_settings
from fastapi_baseline.cli.console import print_done, print_lines
from fastapi_baseline.cli.run import Target
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import Settings
from fastapi_baseline.settings.contract import find_unread, names_in_env_file

with optional("yaml", extra="cli"):
    import yaml

# With the comments of the second: it shows what could be set.
_ENV_FILES = {".env": False, ".env.example": True}
_COMPOSE_FILES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


def show_checklist(target: Target, *, is_json: bool = False) -> None:
    """Print which variables are written down and not read, and which defaults could be raised.

    Raises:
        ConfigurationError: If the settings of the service cannot be read.
    """
    settings = find_service_settings(target)
    document = _document(settings, target.folder)
    if is_json:
        print_lines([json.dumps(document, ensure_ascii=False)])
        return
    lines = list(describe(document))
    if lines:
        print_lines(["Before you deploy:", *lines])
    else:
        print_done("There is nothing to see to before you deploy.")


def describe(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a checklist says, in lines for people."""
    for item in document["unread"]:
        hint = f"; is it {item['closest']} now?" if item["closest"] else ""
        yield f"  {item['file']}: no setting reads {item['name']}{hint}"
    for change in document["changes"]:
        yield (
            f"  {change['setting']} becomes {change['new']} when you raise the defaults to "
            f"{change['since']}: {change['why']} To keep what it does now: {change['restore']}"
        )


def _document(settings: Settings, folder: Path) -> dict[str, Any]:
    unread = [
        {"file": name, "name": one.name, "closest": one.closest}
        for name, names in _written_down(folder)
        for one in find_unread(names, type(settings))
    ]
    changes = [
        {
            "setting": change.variable,
            "old": change.old,
            "new": change.new,
            "since": change.since,
            "why": change.why,
            "restore": change.restore,
        }
        for change in settings.dated_defaults.between(settings.baseline_defaults)
    ]
    return {"unread": unread, "changes": changes}


def _written_down(folder: Path) -> Iterator[tuple[str, Sequence[str]]]:
    for name, with_comments in _ENV_FILES.items():
        if (folder / name).is_file():
            yield name, names_in_env_file(_read(folder / name), with_comments=with_comments)
    for name in _COMPOSE_FILES:
        if (folder / name).is_file():
            yield name, tuple(_names_in_compose(folder / name))


def _names_in_compose(path: Path) -> Iterator[str]:
    """Yield the variables of the services that are built here; the others are not this library's."""
    try:
        content = yaml.safe_load(_read(path))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    for service in _table(_table(content).get("services")).values():
        if "build" not in _table(service):
            continue
        variables = _table(service).get("environment")
        if isinstance(variables, dict):
            yield from cast("dict[str, Any]", variables)
        else:
            # The other way to write them: a list of NAME=value.
            for item in cast("list[str]", variables or []):
                yield item.partition("=")[0]


def _table(content: object) -> dict[str, Any]:
    return cast("dict[str, Any]", content) if isinstance(content, dict) else {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
