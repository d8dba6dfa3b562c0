"""What a class of queries means, found out once: its parameters, conditions and orders."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, ForwardRef, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.query.columns import check_path, checked_target, column_called
from fastapi_baseline.persistence.query.operators import (
    Attribute,
    Equal,
    In,
    Operator,
    Parameter,
    Target,
    contains,
)
from fastapi_baseline.persistence.query.parameters import (
    Wire,
    alias_of,
    filter_parameters,
    own_parameter,
    parameters_model,
    search_parameter,
    sort_parameter,
    written,
)
from fastapi_baseline.persistence.query.sorting import (
    SortColumns,
    Sorting,
    SortOption,
    sort_option,
    sorting_of,
)
from fastapi_baseline.persistence.query.values import text_type
from fastapi_baseline.persistence.specification import Condition

_Maker = Callable[[Mapping[str, Any]], Any]
"""What makes the value of a field of what its parameters have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The keywords of a class of queries; what is `None` is as its base class says."""

    sort: SortColumns | None = None
    default_sort: str | Sequence[str] | None = None
    search: Sequence[Attribute | Target] | None = None
    default_limit: int | None = None
    max_limit: int | None = None
    max_offset: int | None = None

    def over(self, inherited: "Options") -> "Options":
        """Return these options, and those of the base class where there are none."""
        own = {name: getattr(self, name) for name in self.__slots__}
        return replace(
            inherited, **{name: value for name, value in own.items() if value is not None}
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Filter:
    """A field that filters, and the column that it is about."""

    name: str
    target: Target

    def condition(self, value: Any) -> Condition | None:
        """Return what a row must meet; `None` if nothing is asked."""
        operator = value if isinstance(value, Operator) else Equal(value)
        return _reached(self.target, operator.conditions(self.target.column))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """What a class of queries means."""

    parameters: type[BaseModel]
    filters: Sequence[Filter]
    own: Sequence[str]
    search: Sequence[Target]
    sorting: Sorting
    _wires: Mapping[str, Wire]
    _makers: Mapping[str, _Maker]
    _optional: frozenset[str]
    _defaults: Mapping[str, Any]

    def read(self, data: Mapping[Any, Any]) -> dict[str, Any]:
        """Return the values of the fields, from what a request or Python code has.

        Raises:
            pydantic.ValidationError: If a parameter is not known, or its value is wrong; its
                location is the name in the URL.
        """
        found = self.parameters.model_validate(written(data, optional=self._optional))
        parts: dict[str, dict[str, Any]] = {}
        for name in found.model_fields_set:
            wire = self._wires[name]
            # Not as an attribute, since to read one that is deprecated is a warning.
            parts.setdefault(wire.field, {})[wire.part] = vars(found)[name]
        given = {name: self._makers[name](values) for name, values in parts.items()}
        return {**self._defaults, **given}

    def searched(self, text: str) -> Condition | None:
        """Return whether one of the columns contains a text."""
        found: Condition | None = None
        for target in self.search:
            condition = _reached(target, [contains(target.column, text)])
            if condition is not None:
                found = condition if found is None else found | condition
        return found


def plan_of(
    kind: str,
    model: type[Any],
    fields: Mapping[str, FieldInfo],
    *,
    options: Options,
    paging: Sequence[Wire],
) -> Plan:
    """Return what a class of queries means.

    `fields` are those that it adds to the ones of the library, and `paging` the parameters that
    say which page.

    Raises:
        ConfigurationError: If a field, or what to sort by or search in, is no column that may be
            named, or cannot be compared with it.
    """
    filters: dict[str, Filter] = {}
    wires: list[Wire] = []
    makers: dict[str, _Maker] = {}
    for name, info in fields.items():
        with _blamed_on(f"{kind}.{name}"):
            target, own_wires, makers[alias_of(name, info)] = _field(model, name, info)
        wires += own_wires
        if target is not None:
            filters[name] = Filter(name=name, target=target)
    with _blamed_on(f"sort of {kind}"):
        sorting = _sorting(model, options)
    with _blamed_on(f"search of {kind}"):
        search = _search(model, options.search or ())
    if sorting.options:
        wires.append(sort_parameter(sorting.options, sorting.default))
    if search:
        wires.append(search_parameter())
    wires += paging
    with _blamed_on(kind):
        _check_names(wires)
    return Plan(
        parameters=parameters_model(kind, wires),
        filters=[*filters.values()],
        own=[name for name in fields if name not in filters],
        search=search,
        sorting=sorting,
        _wires={f"parameter_{number}": wire for number, wire in enumerate(wires)},
        _makers={wire.field: makers.get(wire.field, _plain) for wire in wires},
        _optional=frozenset({"q", "cursor", *makers}),
        _defaults={wire.field: wire.info.default for wire in paging},
    )


def _reached(target: Target, conditions: Sequence[Condition]) -> Condition | None:
    if target.path:
        check_path(target)
    return target.reached(conditions)


def _field(
    model: type[Any], name: str, info: FieldInfo
) -> tuple[Target | None, Sequence[Wire], _Maker]:
    """Return what a field filters, if it does, its parameters, and what makes a value of them."""
    declared, marks = _declared(info)
    if any(isinstance(mark, Parameter) for mark in marks):
        return None, [own_parameter(name, info, declared=declared)], _maker(declared)
    target = _target(model, name, marks)
    wires = filter_parameters(name, info, declared=declared, target=target)
    return target, wires, _maker(declared)


@contextmanager
def _blamed_on(what: str) -> Generator[None]:
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{what}: {error}") from error


def _declared(info: FieldInfo) -> tuple[Any, Sequence[Any]]:
    """Return the type of a field without `None`, and what is annotated to it."""
    marks: list[Any] = [*info.metadata]
    declared = cast("Any", info.annotation)
    if isinstance(declared, (str, ForwardRef)):
        raise ConfigurationError("its type is not known yet: define it before the class.")
    if type(None) in get_args(declared):
        kinds = [kind for kind in get_args(declared) if kind is not type(None)]
        if len(kinds) != 1:
            raise ConfigurationError(
                "it has more than one type: declare a field for each, with on(...)."
            )
        (declared,) = kinds
    if get_origin(declared) is Annotated:
        inner, *nested = get_args(declared)
        if any(isinstance(mark, (Target, Parameter)) for mark in nested) or _is_operator(inner):
            marks += nested
            declared = inner
    if (
        info.is_required()
        and _is_operator(declared)
        and (get_origin(declared) or declared) is not In
    ):
        raise ConfigurationError("it needs a default, such as None.")
    return declared, marks


def _target(model: type[Any], name: str, marks: Sequence[Any]) -> Target:
    targets = [mark for mark in marks if isinstance(mark, Target)]
    if len(targets) > 1:
        raise ConfigurationError("it is about more than one column.")
    return checked_target(model, targets[0]) if targets else Target(column_called(model, name))


def _sorting(model: type[Any], options: Options) -> Sorting:
    columns = options.sort or ()
    named: Mapping[str, SortOption]
    if isinstance(columns, Mapping):
        named = {name: sort_option(column) for name, column in columns.items()}
    else:
        found = [sort_option(column) for column in columns]
        named = {option.column.key: option for option in found}
    checked = {
        name: replace(option, column=checked_target(model, Target(option.column)).column)
        for name, option in named.items()
    }
    return sorting_of(checked, options.default_sort or ())


def _search(model: type[Any], columns: Sequence[Attribute | Target]) -> Sequence[Target]:
    targets = [
        checked_target(model, column if isinstance(column, Target) else Target(column))
        for column in columns
    ]
    for target in targets:
        text_type(target.column.type, min_length=1)
    return targets


def _check_names(wires: Sequence[Wire]) -> None:
    seen: set[str] = set()
    for wire in wires:
        if wire.alias in seen:
            raise ConfigurationError(f"it has two parameters {wire.alias!r}.")
        seen.add(wire.alias)


def _is_operator(declared: Any) -> bool:
    kind = get_origin(declared) or declared
    return isinstance(kind, type) and issubclass(kind, Operator)


def _maker(declared: Any) -> _Maker:
    kind = get_origin(declared) or declared
    if kind is In:
        return _in
    return partial(_operator, kind) if _is_operator(declared) else _plain


def _plain(parts: Mapping[str, Any]) -> Any:
    return parts[""]


def _in(parts: Mapping[str, Any]) -> Any:
    return In(parts[""])


def _operator(kind: type[Operator], parts: Mapping[str, Any]) -> Operator:
    return kind(**parts)
