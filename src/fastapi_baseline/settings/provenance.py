"""Where each setting of a service comes from: the environment, a file, its code or the library."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsError,
)

from fastapi_baseline.settings.contract import HIDDEN, Variable, find_variables, text_of
from fastapi_baseline.settings.defaults import FIELD, DatedSource, says
from fastapi_baseline.settings.service import Settings

LIBRARY = "library"
"""Where a setting comes from that nobody has set."""

# Whatever stands before the last @ of a URL is kept to itself: it may hold a password.
_CREDENTIALS = re.compile(r"(?<=://)[^\s\"]*@")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedSetting:
    """The value of one setting, and where it comes from.

    `value` is written as the environment has it, and shows no secret; `None` means that it is
    unset. `origin` is `environment`, the name of an env file, `secrets` (a folder of them),
    `defaults` with a date, `class` (of the service's settings), `code` (what the class was called
    with) or `library`.
    """

    variable: Variable
    value: str | None
    origin: str


def trace(settings: Settings) -> Sequence[TracedSetting]:
    """Return all settings of a service, each with where it comes from."""
    return list(_trace(settings))


def _trace(settings: Settings) -> Iterator[TracedSetting]:
    kind, date = type(settings), settings.baseline_defaults
    said = [(_origin(source, date), source()) for source in _sources(kind, date)]
    by_itself, fresh = _read_again(kind), _read_again(kind, date)
    for variable in find_variables(kind):
        path, actual = variable.path, _at(settings, variable.path)
        origin = next((name for name, values in said if _has(values, path)), "")
        # What is read again is handed the date, so that all else is as it was.
        expected = by_itself if path == (FIELD,) else fresh
        if expected is None:
            is_handed_over = not origin and text_of(actual) != variable.default
        else:
            is_handed_over = actual != _at(expected, path)
        if is_handed_over:
            origin = "code"
        elif not origin:
            origin = "class" if says(kind, path) else LIBRARY
        yield TracedSetting(variable=variable, value=_shown(actual, variable), origin=origin)


def _sources(kind: type[Settings], date: str) -> Sequence[PydanticBaseSettingsSource]:
    sources = kind.settings_customise_sources(
        kind,
        init_settings=InitSettingsSource(kind, {FIELD: date}),
        env_settings=EnvSettingsSource(kind),
        dotenv_settings=DotEnvSettingsSource(kind),
        file_secret_settings=SecretsSettingsSource(kind),
    )
    return [source for source in sources if not isinstance(source, InitSettingsSource)]


def _origin(source: PydanticBaseSettingsSource, date: str) -> str:
    match source:
        case DatedSource():
            return f"defaults {date}"
        case DotEnvSettingsSource(env_file=str() as name):
            return name
        # Before its parent, which the environment is read by.
        case DotEnvSettingsSource():
            return "env file"
        case EnvSettingsSource():
            return "environment"
        case SecretsSettingsSource():
            return "secrets"
        case _:
            return type(source).__name__


def _read_again(kind: type[Settings], date: str | None = None) -> Settings | None:
    """Return what the class makes of the environment alone, if that is enough for it."""
    try:
        return kind() if date is None else kind(baseline_defaults=date)
    except (ValidationError, SettingsError):
        return None


def _at(settings: object, path: Sequence[str]) -> object:
    for name in path:
        settings = getattr(settings, name, None)
    return settings


def _has(values: Mapping[str, Any], path: Sequence[str]) -> bool:
    content: object = values
    for name in path:
        if not isinstance(content, Mapping) or name not in content:
            return False
        content = cast("Mapping[str, object]", content)[name]
    return True


def _shown(value: object, variable: Variable) -> str | None:
    shown = text_of(value)
    if shown is None:
        return None
    return HIDDEN if variable.is_secret else _CREDENTIALS.sub("…@", shown)
