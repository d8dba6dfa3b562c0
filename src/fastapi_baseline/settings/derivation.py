"""Files that are derived from a settings class: an example of `.env`, and a schema for manifests."""

import textwrap
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from pydantic import BaseModel

from fastapi_baseline.settings.contract import HIDDEN, Variable, find_sections, find_variables

WIDTH = 100
"""How long the lines of comments are at most."""


def derive_example(kind: type[BaseModel]) -> str:
    """Return a file like `.env` with every setting of a class, each commented out."""
    return "\n".join(_example(kind)) + "\n"


def derive_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """Return a JSON schema (draft 7) for an object of variables, as a manifest has it.

    It refuses a name in one of the sections that no setting has, a value that is none of its
    choices, and a secret, which belongs in no manifest. Other names are let through: a container is
    told more than its settings.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": "#/definitions/settings",
        "definitions": derive_definitions(kind),
    }


def derive_definitions(kind: type[BaseModel]) -> dict[str, Any]:
    """Return the parts of that schema: `setting`, a name that may be set, and `settings`, them all.

    The values of a chart have these among their own; names of secrets are of `setting`, too.
    """
    variables = list(find_variables(kind))
    sections = sorted({name.partition("__")[0] for name in find_sections(kind)})
    names = {"enum": sorted(one.name for one in variables)}
    secrets = {"enum": sorted(one.name for one in variables if one.is_secret)}
    return {
        "setting": {
            "description": "The name of a setting, or of something that is none",
            "anyOf": [names, {"not": {"pattern": f"^({'|'.join(sections)})__"}}],
        },
        "settings": {
            "description": "Settings that are not secret",
            "type": "object",
            "propertyNames": {"allOf": [{"$ref": "#/definitions/setting"}, {"not": secrets}]},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "properties": {one.name: {"enum": _written(one)} for one in variables if one.choices},
        },
    }


def comment(text: str) -> Iterator[str]:
    """Give the lines of a comment that says something in plain text, without a stop at its end."""
    plain = text.replace("`", "").removesuffix(".")
    yield from textwrap.wrap(
        plain,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _example(kind: type[BaseModel]) -> Iterator[str]:
    about = find_sections(kind)
    yield "# All settings, each with the value that it has while it is commented out. Secrets belong in no"
    yield "# file that is committed."
    for section, variables in groupby(find_variables(kind), key=lambda one: one.section):
        if section:
            yield ""
            yield f"# --- {section}… ---"
            yield from comment(about[section])
        for variable in variables:
            yield ""
            yield from comment(_about(variable))
            default = variable.default
            yield f"# {variable.name}={'' if default in {None, HIDDEN} else default}"


def _about(variable: Variable) -> str:
    about = variable.description.removesuffix(".")
    return about if variable.kind == "text" else f"{about} ({variable.kind})"


def _written(variable: Variable) -> list[str | bool]:
    """Return the choices of a setting in all the ways in which they are written."""
    if variable.choices == ("true", "false"):
        return [True, False, *variable.choices]
    # Levels of logs are read in any case.
    small = [choice.lower() for choice in variable.choices if choice.isalpha() and choice.isupper()]
    return [*variable.choices, *small]
