"""Defaults with a date: a newer library changes nothing that a service does until it says so.

What a release would do differently becomes a setting first, and its new default is written down
here, with a date. A service says up to which date it follows (`BASELINE_DEFAULTS=2027.03`, or the
field `baseline_defaults` of its class); one that says nothing has the oldest defaults that there
are. What the service itself sets counts before both.

    CHANGES = (
        BehaviourChange(
            setting="requests.timeout",
            old="30",
            new="20",
            since="2027.03",
            why="Balancers give up after 30 s, and then retry what is still running.",
        ),
    )
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import get_annotations
from typing import Annotated, Any, cast

from pydantic import BaseModel, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from fastapi_baseline.errors import ConfigurationError

FIELD = "baseline_defaults"
"""The setting that says up to which date a service follows."""
_DATE = re.compile(r"\d{4}\.(?:0[1-9]|1[0-2])")
_LIBRARY = __name__.partition(".")[0]

DefaultsDate = Annotated[str, StringConstraints(strip_whitespace=True)]
"""A year and a month: `2026.11`. Such texts are in order as dates are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BehaviourChange:
    """One default that changes at a date.

    `setting` is its path in the settings (`requests.timeout`). `old` and `new` are written as the
    environment has them (`30`, `true`, `none`, `a,b`), and `why` is one sentence.
    """

    setting: str
    old: str
    new: str
    since: DefaultsDate
    why: str

    @property
    def path(self) -> tuple[str, ...]:
        """Return the names of the fields that lead to the setting."""
        return tuple(self.setting.split("."))

    @property
    def variable(self) -> str:
        """Return the variable that the setting is read from: `REQUESTS__TIMEOUT`."""
        return "__".join(self.path).upper()

    @property
    def restore(self) -> str:
        """Return what brings the old behaviour back, as a line of `.env`."""
        return f"{self.variable}={self.old}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedDefaults:
    """Which defaults change, and between which dates a service may choose.

    Raises:
        ConfigurationError: If a date is none, or the changes are not in the order of their dates,
            after `oldest` and not after `latest`.
    """

    oldest: DefaultsDate
    latest: DefaultsDate
    changes: Sequence[BehaviourChange] = ()

    def __post_init__(self) -> None:
        dates = [self.oldest, *(change.since for change in self.changes), self.latest]
        for date in dates:
            if not _DATE.fullmatch(date):
                raise ConfigurationError(f"{date!r} is not a year and a month, such as 2026.11.")
        if dates != sorted(dates):
            raise ConfigurationError(f"Changes of defaults are not in order: {', '.join(dates)}")
        # A service at the oldest date has all that the code says.
        if self.oldest in dates[1:-1]:
            raise ConfigurationError(f"A change is as old as the oldest defaults, {self.oldest}.")

    def check(self, date: str) -> str:
        """Return a date that a service may choose.

        Raises:
            ValueError: If it is no date, or not one between `oldest` and `latest`.
        """
        if not _DATE.fullmatch(date):
            raise ValueError(f"write a year and a month, such as {self.latest}")
        if date > self.latest:
            raise ValueError(
                f"this version of fastapi-baseline knows defaults up to {self.latest}; upgrade it"
            )
        if date < self.oldest:
            raise ValueError(
                f"this version of fastapi-baseline no longer has defaults older than {self.oldest}"
            )
        return date

    def between(self, date: str, until: str | None = None) -> tuple[BehaviourChange, ...]:
        """Return what changes for a service that goes from one date to another, or the latest."""
        last = self.latest if until is None else until
        return tuple(change for change in self.changes if date < change.since <= last)

    def values_at(self, date: str) -> Mapping[tuple[str, ...], str]:
        """Return the defaults at a date that are not what the code says, by their paths."""
        return {change.path: change.new for change in self.changes if change.since <= date}


CHANGES: Sequence[BehaviourChange] = ()
"""Every change of a default since the oldest date, in the order of their dates; append only."""

DEFAULTS = DatedDefaults(oldest="2026.11", latest="2026.11", changes=CHANGES)
"""The defaults of this version of the library."""


class DatedSource(PydanticBaseSettingsSource):
    """Gives the defaults of a service's date, for what neither its environment nor its code says."""

    def __init__(
        self,
        settings_class: type[BaseSettings],
        defaults: DatedDefaults,
        *,
        others: Sequence[PydanticBaseSettingsSource],
    ) -> None:
        super().__init__(settings_class)
        self._defaults = defaults
        self._others = others

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing for a field by itself: `__call__` gives all of them."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values, nested as the settings are."""
        said = [_what_is_said(source) for source in self._others]
        chosen = next((one[FIELD] for one in said if FIELD in one), None)
        date = str(self.settings_cls.model_fields[FIELD].default if chosen is None else chosen)
        values: dict[str, Any] = {}
        for path, text in self._defaults.values_at(date.strip()).items():
            if not any(_says(one, path) for one in said) and not says(self.settings_cls, path):
                _put(values, path, None if text == "none" else text)
        return values


def says(kind: type[BaseModel], path: Sequence[str]) -> bool:
    """Return whether the code of a service says what a setting is: in its class or a section's."""
    name, *rest = path
    field = kind.model_fields.get(name)
    if field is None:
        return False
    if not rest:
        return _restates(kind, name)
    default = field.get_default(call_default_factory=True, validated_data={})
    # The library's own sections have defaults that say nothing.
    return isinstance(default, BaseModel) and _says(default, rest)


def _what_is_said(source: PydanticBaseSettingsSource) -> Mapping[str, Any]:
    # As it was given: a section that was handed over knows which of its fields were set.
    if isinstance(source, InitSettingsSource):
        return cast("Any", source).init_kwargs
    return source()


def _says(value: object, path: Sequence[str]) -> bool:
    if not path:
        return True
    name, *rest = path
    if isinstance(value, BaseModel):
        if name in value.model_fields_set:
            return _says(getattr(value, name), rest)
        return says(type(value), path)
    if isinstance(value, Mapping):
        content = cast("Mapping[str, Any]", value)
        return name in content and _says(content[name], rest)
    return True


def _restates(kind: type[BaseModel], name: str) -> bool:
    """Return whether a class that is not the library's declares a field."""
    return any(
        name in get_annotations(owner)
        for owner in kind.__mro__
        if owner.__module__.partition(".")[0] not in {_LIBRARY, "builtins"}
    )


def _put(values: dict[str, Any], path: Sequence[str], value: str | None) -> None:
    *sections, name = path
    for section in sections:
        values = values.setdefault(section, {})
    values[name] = value
