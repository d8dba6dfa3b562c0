"""What a settings class reads, by the names of its variables: the one contract with everything else.

The reference, `.env.example`, the schema of a chart's values and `baseline config show` are derived
from here, so that none of them can differ from what the code reads.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fastapi_baseline._docstrings import attribute_docstrings

HIDDEN = "**********"
"""What is shown in place of a secret."""

READ_ELSEWHERE: Mapping[str, str] = {
    "PORT": "the port of `baseline run`",
    "WEB_CONCURRENCY": "how many processes `baseline run` starts",
    "TEST_DATABASE_URL": "the tests of a service",
    "TEST_REDIS_URL": "the tests of a service",
}
"""Variables that are read by something else than the settings, and by what."""

# Its SDK has many of its own.
_OF_OPENTELEMETRY = "OTEL_"
_SECRET_NAME = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|credentials?"
    r"|(?:access|api|encryption|private|secret|signing)_key)$"
)
_NESTED_NAME = re.compile(r"(?<![A-Z0-9_])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*__[A-Z][A-Z0-9_]*[A-Z0-9]")
_ASSIGNMENT = re.compile(r"^\s*(?P<mark>#\s*)?(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=")
_MAPPING = "a mapping, as JSON"
_TEXT = "text"
_WORDS: Mapping[object, str] = {
    bool: "true or false",
    float: "a number",
    int: "a number",
    timedelta: "seconds or ISO 8601",
    datetime: "a time in ISO 8601",
    AwareDatetime: "a time in ISO 8601",
    Path: "a path",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One setting, by the variable that it is read from.

    `path` are the fields that lead to it. `kind` says in words what to write, and `choices` are all
    that may be written, if there are some. `default` is written likewise; `None` means that it is
    unset, or must be set.
    """

    name: str
    path: tuple[str, ...]
    description: str
    kind: str
    choices: tuple[str, ...]
    default: str | None
    is_required: bool
    is_secret: bool

    @property
    def section(self) -> str:
        """Return what the variables of its section begin with: `REQUESTS__`, or nothing."""
        return self.name.removesuffix(self.path[-1].upper()) if len(self.path) > 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A variable that a settings class does not read.

    `closest` is the one that it may have meant. `is_meant` tells whether it looks like a setting at
    all: it stands in a section of them, or is nearly the name of one.
    """

    name: str
    closest: str | None
    is_meant: bool


def find_variables(kind: type[BaseModel]) -> Iterator[Variable]:
    """Give every variable that a settings class reads, those of a section together."""
    yield from _variables(kind, path=(), prefix=_prefix(kind))


def find_sections(kind: type[BaseModel]) -> Mapping[str, str]:
    """Return what the variables of each section begin with (`REQUESTS__`), with what it is about."""
    return dict(_sections(kind, prefix=_prefix(kind)))


def find_unread(names: Iterable[str], kind: type[BaseModel]) -> Sequence[Unread]:
    """Return which of some variables a settings class does not read, in their order.

    A whole section as JSON is read, too, and a key of a mapping. What something else reads is left
    out, if it is known here.
    """
    known = {variable.name: variable for variable in find_variables(kind)}
    sections = {section.removesuffix("__"): section for section in find_sections(kind)}
    mappings = tuple(f"{name}__" for name, one in known.items() if one.kind == _MAPPING)
    unread: list[Unread] = []
    for name in dict.fromkeys(names):
        upper = name.upper()
        if upper in known or upper in sections or upper in READ_ELSEWHERE:
            continue
        if upper.startswith((_OF_OPENTELEMETRY, *mappings)):
            continue
        found = get_close_matches(upper, [*known, *sections], n=1, cutoff=0.8)
        is_nested = upper.startswith(tuple(sections.values()))
        closest = found[0] if found else None
        unread.append(Unread(name=name, closest=closest, is_meant=is_nested or bool(found)))
    return unread


def names_in_env_file(text: str, *, with_comments: bool = False) -> Sequence[str]:
    """Return the variables that an env file sets; `with_comments`, also those commented out."""
    found = [match for line in text.splitlines() if (match := _ASSIGNMENT.match(line))]
    return [
        match["name"]
        for match in found
        if match["mark"] is None or (with_comments and match["name"].isupper())
    ]


def nested_names_in(text: str) -> Sequence[str]:
    """Return the names of nested settings in any text: those with two underscores inside."""
    return list(dict.fromkeys(_NESTED_NAME.findall(text)))


def text_of(value: object) -> str | None:
    """Return a value as the environment has it, and no secret; `None` if it is unset."""
    if value is None or value in ((), {}):
        return None
    match value:
        case SecretStr() | SecretBytes():
            text = HIDDEN
        case bool():
            text = str(value).lower()
        case timedelta():
            text = f"{value.total_seconds():.12g}"
        case datetime():
            text = value.isoformat()
        case tuple() if _is_plain(cast("tuple[object, ...]", value)):
            text = ",".join(map(str, cast("tuple[object, ...]", value)))
        case BaseModel() | tuple() | list() | dict() | set() | frozenset():
            text = json.dumps(_shown(cast("object", value)), ensure_ascii=False)
        case _:
            text = str(value)
    return text


def is_secret(name: str, annotation: object) -> bool:
    """Return whether a field holds a secret: by its type, or a plain text by its name."""
    if {SecretStr, SecretBytes}.intersection(_types(annotation)):
        return True
    return bool(_SECRET_NAME.search(name.lower())) and _kind(annotation) == _TEXT


def _prefix(kind: type[BaseModel]) -> str:
    return str(kind.model_config.get("env_prefix", "")).upper()


def _variables(
    kind: type[BaseModel], *, path: tuple[str, ...], prefix: str, given: BaseModel | None = None
) -> Iterator[Variable]:
    """Give the variables of a section, of which a class may have `given` one as its default."""
    nested: list[tuple[str, type[BaseModel], object]] = []
    for name, field in kind.model_fields.items():
        default = _default(field) if given is None else getattr(given, name)
        section = _section(field)
        if section is not None:
            nested.append((name, section, default))
            continue
        yield Variable(
            name=f"{prefix}{_alias(field) or name}".upper(),
            path=(*path, name),
            description=_description(kind, name),
            kind=_kind(field.annotation),
            choices=_choices(field.annotation),
            default=None if default is PydanticUndefined else text_of(default),
            is_required=default is PydanticUndefined,
            is_secret=is_secret(name, field.annotation),
        )
    for name, section, default in nested:
        yield from _variables(
            section,
            path=(*path, name),
            prefix=f"{prefix}{name}__".upper(),
            given=default if isinstance(default, BaseModel) else None,
        )


def _sections(kind: type[BaseModel], *, prefix: str) -> Iterator[tuple[str, str]]:
    for name, field in kind.model_fields.items():
        section = _section(field)
        if section is not None:
            inner = f"{prefix}{name}__".upper()
            yield inner, _description(kind, name)
            yield from _sections(section, prefix=inner)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _alias(field: FieldInfo) -> str | None:
    return field.validation_alias if isinstance(field.validation_alias, str) else None


def _description(kind: type[BaseModel], name: str) -> str:
    """Return what a field says of itself, or what it said before a subclass gave it a default."""
    classes = [one for one in kind.__mro__ if issubclass(one, BaseModel)]
    said = [one.model_fields[name].description for one in classes if name in one.model_fields]
    written = [attribute_docstrings(one).get(name) for one in classes]
    found = next(filter(None, [*said, *written]), "")
    return " ".join(found.split())


def _default(field: FieldInfo) -> object:
    return field.get_default(call_default_factory=True, validated_data={})


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin in {tuple, list, set, frozenset}:
        is_plain = not any(_is_model(argument) for argument in arguments)
        return "a list, with commas or as JSON" if is_plain else "a list, as JSON"
    if origin is dict:
        return _MAPPING
    if origin is Annotated:
        return _kind(arguments[0])
    # What has annotations makes the older kind of a union.
    if NoneType in arguments:
        return _kind(next(one for one in arguments if one is not NoneType))
    return _WORDS.get(annotation, _TEXT)


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    return ("true", "false") if annotation is bool else ()


def _types(annotation: Any) -> Iterator[object]:
    """Give the plain types that an annotation is made of, inside of unions and containers."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        yield from _types(arguments[0])
    elif arguments and get_origin(annotation) is not Literal:
        for argument in arguments:
            if argument is not Ellipsis:
                yield from _types(argument)
    else:
        yield annotation


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _is_plain(values: tuple[object, ...]) -> bool:
    return all(isinstance(value, str) and "," not in value for value in values)


def _shown(value: object) -> Any:
    """Return a value in terms of JSON, in which secrets are hidden."""
    match value:
        case BaseModel():
            kinds = type(value).model_fields
            return {
                name: HIDDEN
                if is_secret(name, kinds[name].annotation) and inner is not None
                else _shown(inner)
                for name, inner in value
            }
        case dict():
            return {str(key): _shown(inner) for key, inner in cast("Any", value).items()}
        case tuple() | list() | set() | frozenset():
            return [_shown(inner) for inner in cast("Any", value)]
        case None | bool() | int() | float():
            return value
        case _:
            return text_of(value)
