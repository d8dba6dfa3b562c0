"""`baseline config` and `baseline defaults`: the settings of a service, as it reads them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from fastapi_baseline.cli.console import print_done, print_lines, print_notice, without_log
from fastapi_baseline.cli.run import Target, enter, find_settings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import inspecting
from fastapi_baseline.settings import BehaviourChange, Settings
from fastapi_baseline.settings.derivation import derive_example, derive_schema
from fastapi_baseline.settings.provenance import LIBRARY, TracedSetting, trace


def show_settings(target: Target, *, is_changed: bool, is_json: bool = False) -> None:
    """Print every setting of a service, or those that somebody has set, and who has.

    Raises:
        ConfigurationError: If its settings cannot be read.
    """
    settings = find_service_settings(target)
    traced = [one for one in trace(settings) if not (is_changed and one.origin == LIBRARY)]
    if is_json:
        document = {
            "class": _name_of(settings),
            "defaults": settings.baseline_defaults,
            "settings": [_as_json(one) for one in traced],
        }
        print_lines([json.dumps(document, ensure_ascii=False)])
        return
    width = max((len(one.variable.name) for one in traced), default=0)
    print_lines([f"{one.variable.name.ljust(width)}  {_described(one)}" for one in traced])


def show_example(target: Target) -> None:
    """Print a file like `.env` with every setting of a service.

    Raises:
        ConfigurationError: If its settings cannot be read.
    """
    print_lines(derive_example(type(find_service_settings(target))).splitlines())


def show_schema(target: Target) -> None:
    """Print a JSON schema of the variables that a service reads.

    Raises:
        ConfigurationError: If its settings cannot be read.
    """
    schema = derive_schema(type(find_service_settings(target)))
    print_lines(json.dumps(schema, indent=2).splitlines())


def show_changes(target: Target, *, until: str | None, is_json: bool = False) -> None:
    """Print what changes when a service raises its defaults to a date, or to the latest.

    Raises:
        ConfigurationError: If its settings cannot be read.
        typer.BadParameter: If it is no date that can be chosen.
    """
    settings = find_service_settings(target)
    known, date = settings.dated_defaults, settings.baseline_defaults
    try:
        until = known.check(until or known.latest)
    except ValueError as error:
        raise typer.BadParameter(f"{until}: {error}.", param_hint="DATE") from error
    changes = known.between(date, until)
    kept = _settled(settings)
    if is_json:
        document = {
            "from": date,
            "to": until,
            "changes": [_change_as_json(change, kept) for change in changes],
        }
        print_lines([json.dumps(document, ensure_ascii=False)])
        return
    if not changes:
        print_done(f"Nothing changes: the service has the defaults of {date}.")
        return
    for change in changes:
        print_lines(_told(change, kept))
    print_notice(f'To have them, set baseline_defaults = "{until}" in {_name_of(settings)}.')


def find_service_settings(target: Target) -> Settings:
    """Return the settings that a service was made of, or would be: it need not be able to start.

    Raises:
        ConfigurationError: If they cannot be read, or are not of this library.
    """
    with without_log(), inspecting() as inspection:
        enter(target)
        try:
            settings = find_settings(target) or inspection.settings
        except ConfigurationError:
            settings = inspection.settings
            # Those that cannot even be read are what is wrong.
            if settings is None:
                raise
    if not isinstance(settings, Settings):
        message = f"{target.app!r} has no settings of this library: it has not called create_app()."
        raise ConfigurationError(message)
    return settings


def _settled(settings: Settings) -> Mapping[tuple[str, ...], str]:
    """Return which settings no default has a say in any more, and who has set them."""
    dated = f"defaults {settings.baseline_defaults}"
    return {
        one.variable.path: one.origin
        for one in trace(settings)
        if one.origin not in {LIBRARY, dated}
    }


def _described(traced: TracedSetting) -> str:
    value = "(unset)" if traced.value is None else traced.value
    return f"{value}  [{traced.origin}]"


def _as_json(traced: TracedSetting) -> dict[str, Any]:
    return {
        "name": traced.variable.name,
        "value": traced.value,
        "from": traced.origin,
        "secret": traced.variable.is_secret,
    }


def _told(change: BehaviourChange, kept: Mapping[tuple[str, ...], str]) -> Sequence[str]:
    lines = [
        f"{change.since}  {change.variable}: {change.old} becomes {change.new}",
        f"         {change.why}",
    ]
    if change.path in kept:
        return [*lines, f"         It stays as it is here: set by {kept[change.path]}."]
    return [*lines, f"         To keep the old behaviour: {change.restore}"]


def _change_as_json(change: BehaviourChange, kept: Mapping[tuple[str, ...], str]) -> dict[str, Any]:
    return {
        "setting": change.variable,
        "old": change.old,
        "new": change.new,
        "since": change.since,
        "why": change.why,
        "restore": change.restore,
        "set_by": kept.get(change.path),
    }


def _name_of(settings: Settings) -> str:
    return f"{type(settings).__module__}.{type(settings).__qualname__}"
