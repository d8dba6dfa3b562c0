"""The query string of a list, read as json-server 0.17 reads it.

It is read from the raw string, since the names are open (`age_gte`), any may be repeated, and the
order of none matters. What json-server ignores is ignored here too: parameters that are no field of
a patient, fields to sort by that do not exist, and empty values of `q` and of what starts with `_`.
Numbers are read as JavaScript reads them. What has no good answer is refused instead.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

from fastapi_baseline.errors import FieldError, InvalidRequestError

from patients.domains.patients.javascript import parse_int
from patients.domains.patients.patterns import UnsupportedPatternError, like_matching
from patients.domains.patients.schemas import PatientField

DEFAULT_PAGE_SIZE = 10
MAX_PARAMETERS = 500
MAX_VALUE_LENGTH = 1_000
# Databases count in 64 bits, and no list is this long.
_MAX_POSITION = 2**53

_FIELDS: dict[str, PatientField] = {str(field): field for field in PatientField}
# How clients write that a value is one of a list: `gender[]=Male`, `gender[0]=Male`.
_LIST_SUFFIX = re.compile(r"\[[0-9]*\]$")


class QueryError(InvalidRequestError):
    """A parameter cannot be understood; the error names it."""

    code = "query_invalid"


class Operator(StrEnum):
    """How a field is compared, by the ending of the parameter's name."""

    NE = "_ne"
    GTE = "_gte"
    LTE = "_lte"
    LIKE = "_like"
    EQ = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a patient must be like to be listed.

    `field` is `None` if no patient has it, so that none is listed. `values` are those of the
    parameter: any of them will do, but for `NE`, where all must differ. For `LIKE` they are
    patterns of SQL.
    """

    field: PatientField | None
    operator: Operator
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A field to sort by."""

    field: PatientField
    descending: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which part of the list is wanted; `page` is its number if the client counts in pages."""

    offset: int
    limit: int
    page: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientQuery:
    """Which patients to list, in which order, and which part of that.

    Without `order` they come in the order in which they were added; without `window`, all of them.
    """

    conditions: tuple[Condition, ...] = ()
    text: str = ""
    order: tuple[Order, ...] = ()
    window: Window | None = None

    @property
    def reads_every_row(self) -> bool:
        """Return whether text of every patient is searched, which no index helps."""
        return bool(self.text) or any(c.operator is Operator.LIKE for c in self.conditions)


def parse_query(query_string: str) -> PatientQuery:
    """Return what a query string (without `?`) asks for.

    Raises:
        QueryError: If a parameter cannot be understood, or there are too many.
    """
    parameters = _Parameters(query_string)
    query = PatientQuery(
        conditions=tuple(
            condition
            for name in parameters.names()
            if (condition := _condition(name, parameters)) is not None
        ),
        text=parameters.first("q"),
        order=_order(parameters),
        window=_window(parameters),
    )
    parameters.raise_faults()
    return query


class _Parameters:
    """The parameters by name, and what was found wrong with them."""

    def __init__(self, query_string: str) -> None:
        try:
            pairs = parse_qsl(query_string, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
        except ValueError:
            raise QueryError(f"There are more than {MAX_PARAMETERS} parameters.") from None
        self._faults: list[FieldError] = []
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(_LIST_SUFFIX.sub("", name), []).append(value)

    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def all(self, name: str) -> list[str]:
        """Return the values of a parameter, none if one of them cannot be used."""
        values = self._values.get(name, [])
        if any(len(value) > MAX_VALUE_LENGTH for value in values):
            self.refuse(name, f"may have at most {MAX_VALUE_LENGTH} characters")
            return []
        if any("\0" in value for value in values):
            self.refuse(name, "may not contain the character U+0000")
            return []
        return values

    def first(self, name: str) -> str:
        """Return the first value of a parameter, or the empty string."""
        return next(iter(self.all(name)), "")

    def count(self, name: str, *, default: int) -> int:
        """Return a parameter that counts something; `default` if it is not a number."""
        number = parse_int(self.first(name))
        if number is not None and number < 0:
            self.refuse(name, "may not be negative")
            return default
        return default if number is None else min(number, _MAX_POSITION)

    def refuse(self, name: str, why: str) -> None:
        fault = FieldError(
            path=(name,), detail=f"{name} {why}", code="query_invalid", location="query"
        )
        if fault not in self._faults:
            self._faults.append(fault)

    def raise_faults(self) -> None:
        if self._faults:
            raise QueryError(
                "The query string cannot be understood: "
                + "; ".join(fault.detail for fault in self._faults[:3]),
                fields=self._faults,
            )


def _condition(name: str, parameters: _Parameters) -> Condition | None:
    operator = next(operator for operator in Operator if name.endswith(operator))
    field = _find_field(name.removesuffix(operator))
    if field is None:
        # json-server drops a plain parameter that is no field, but keeps one with an operator,
        # which no record then satisfies.
        return (
            None if operator is Operator.EQ else Condition(field=None, operator=operator, values=())
        )
    values = parameters.all(name)
    if operator is Operator.LIKE:
        values = _patterns(name, values, refuse=parameters.refuse)
    return Condition(field=field, operator=operator, values=tuple(values))


def _find_field(name: str) -> PatientField | None:
    return _FIELDS.get(name)


def _patterns(name: str, values: list[str], *, refuse: Callable[[str, str], None]) -> list[str]:
    try:
        return [like_matching(value) for value in values]
    except UnsupportedPatternError as error:
        refuse(name, str(error))
        return []


def _order(parameters: _Parameters) -> tuple[Order, ...]:
    for name in ("_sort", "_order"):
        if len(parameters.all(name)) > 1:
            parameters.refuse(name, "may be given once; separate several with commas")
    directions = parameters.first("_order").lower().split(",")
    orders: dict[PatientField, Order] = {}
    for index, name in enumerate(parameters.first("_sort").split(",")):
        field = _find_field(name)
        if field is not None and field not in orders:
            descending = directions[index : index + 1] == ["desc"]
            orders[field] = Order(field=field, descending=descending)
    return tuple(orders.values())


def _window(parameters: _Parameters) -> Window | None:
    if parameters.first("_page"):
        # Pages count from 1, and json-server takes anything else for the first.
        page = max(parse_int(parameters.first("_page")) or 1, 1)
        limit = parameters.count("_limit", default=0) or DEFAULT_PAGE_SIZE
        return Window(offset=min((page - 1) * limit, _MAX_POSITION), limit=limit, page=page)
    if parameters.first("_end"):
        start = parameters.count("_start", default=0)
        end = parameters.count("_end", default=0)
        return Window(offset=start, limit=max(end - start, 0))
    if parameters.first("_limit"):
        start = parameters.count("_start", default=0)
        return Window(offset=start, limit=parameters.count("_limit", default=0))
    return None
