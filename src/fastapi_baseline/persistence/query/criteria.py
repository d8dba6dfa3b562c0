"""What a client may ask of a list: filters, a search, an order and a page, as one Pydantic model.

    class OrderQuery(
        ListQuery[Order],
        sort=(Order.created_at, Order.number),
        default_sort="-created_at",
        search=(Order.number,),
    ):
        status: In[Status] | None = None
        created_at: Range[datetime] | None = None
        customer: Annotated[In[str] | None, via(Order.customer, Customer.name)] = None

    @router.get("/orders")
    async def list_orders(query: Annotated[OrderQuery, Query()], ...) -> Page[OrderOut]:
        return await orders.page(query, as_=OrderOut)

Only what a class declares can be asked for. An unknown parameter, operator or order, and a value
that its column cannot have, is refused with 422, and never ignored.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Generic, NoReturn, Self, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, model_validator
from pydantic.fields import FieldInfo
from sqlalchemy import ColumnElement, and_

from fastapi_baseline._docstrings import attribute_docstrings
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence.errors import NotADependencyError
from fastapi_baseline.persistence.query.operators import Attribute, In, Operator, Target
from fastapi_baseline.persistence.query.parameters import (
    Wire,
    cursor_parameter,
    limit_parameter,
    offset_parameter,
)
from fastapi_baseline.persistence.query.plan import Options, Plan, plan_of
from fastapi_baseline.persistence.query.sorting import SortColumns
from fastapi_baseline.persistence.specification import Spec

ModelT = TypeVar("ModelT")

_LIBRARY = __name__.partition(".")[0]

DEFAULT_LIMIT = 20
"""How many rows a page has if nobody says."""
MAX_LIMIT = 100
"""How many rows a page may have."""
MAX_OFFSET = 100_000
"""How many rows a page may leave out: the database reads them all. A cursor has no such limit."""


_DEFAULTS = Options(default_limit=DEFAULT_LIMIT, max_limit=MAX_LIMIT, max_offset=MAX_OFFSET)


def _model_of(kind: type[BaseModel]) -> type[Any] | None:
    for ancestor in kind.__mro__:
        # Documented, and the only place where Pydantic keeps the argument.
        metadata: Any = vars(ancestor).get("__pydantic_generic_metadata__")
        for argument in metadata["args"] if metadata else ():
            if not isinstance(argument, TypeVar) and argument is not Any:
                return argument
    return None


class _Parameters:
    """The fields of a class of queries as FastAPI is to see them: one for each parameter."""

    def __get__(self, instance: object, owner: type["Criteria[Any]"]) -> Mapping[str, FieldInfo]:
        plan: Plan | None = owner.__dict__.get("_plan")
        return owner.__pydantic_fields__ if plan is None else plan.parameters.model_fields


class _NoSignature:
    """What FastAPI finds when it looks for the parameters of a class that `Depends()` is given."""

    def __get__(self, instance: object, owner: type["Criteria[Any]"]) -> NoReturn:
        name = owner.__name__
        raise NotADependencyError(
            f"{name} is no dependency: write Annotated[{name}, Query()] instead of Depends()."
        )


class Criteria(BaseModel, Generic[ModelT]):
    """Which rows of a model a client asks for, and in which order.

    A field filters by the column that is called like it, or that `on` or `via` names. Keywords of
    the class: `sort`, what clients may sort by, columns or a mapping of names to them;
    `default_sort`, names with `-` for descending; `search`, the texts that `q` is looked for in.

    Raises:
        ConfigurationError: When the class is defined, if it names what is no mapped column, or a
            secret one, or compares it with what it cannot hold.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    # FastAPI asks the class for its fields to know the parameters of a request.
    model_fields: ClassVar[Any] = _Parameters()
    _plan: ClassVar[Plan | None] = None
    _options: ClassVar[Options] = _DEFAULTS

    q: str | None = None
    sort: tuple[str, ...] = ()

    def __init_subclass__(
        cls,
        *,
        sort: SortColumns | None = None,
        default_sort: str | Sequence[str] | None = None,
        search: Sequence[Attribute | Target] | None = None,
        default_limit: int | None = None,
        max_limit: int | None = None,
        max_offset: int | None = None,
    ) -> None:
        super().__init_subclass__()
        own = Options(
            sort=sort,
            default_sort=default_sort,
            search=search,
            default_limit=default_limit,
            max_limit=max_limit,
            max_offset=max_offset,
        )
        cls._options = own.over(cls._options)

    @classmethod
    def __pydantic_init_subclass__(cls, **keywords: Any) -> None:
        del keywords  # They are for `__init_subclass__`.
        super().__pydantic_init_subclass__()
        model = _model_of(cls)
        if model is None:
            return
        type.__setattr__(cls, "__signature__", _NoSignature())
        cls._plan = plan_of(
            cls.__name__,
            model,
            _declared_fields(cls),
            options=cls._options,
            paging=cls._paging(),
        )

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, Mapping):
            return handler(data)
        return handler(cls._meaning().read(cast("Mapping[Any, Any]", data)))

    def spec(self) -> Spec[ModelT]:
        """Return what the rows must meet; override it to add what a `parameter()` means."""
        plan = self._meaning()
        asked = ((filter_, self._value(filter_.name)) for filter_ in plan.filters)
        conditions = [
            condition
            for filter_, value in asked
            if value is not None and (condition := filter_.condition(value)) is not None
        ]
        if self.q is not None and (found := plan.searched(self.q)) is not None:
            conditions.append(found)
        return Spec(and_(*conditions)) if conditions else Spec.all()

    def order_by(self) -> tuple[ColumnElement[Any], ...]:
        """Return the order that is asked for, or else the one of the class."""
        sorting = self._meaning().sorting
        return sorting.order_by(self.sort or sorting.default)

    def attributes(self) -> frozenset[str]:
        """Return the attributes of the model that are filtered, searched and sorted by.

        Those of related models are not among them.
        """
        plan = self._meaning()
        asked = [item.target for item in plan.filters if self._value(item.name) is not None]
        targets = [*asked, *(plan.search if self.q is not None else ())]
        sorted_by = plan.sorting.attributes(self.sort or plan.sorting.default)
        return frozenset({target.column.key for target in targets if not target.path} | sorted_by)

    def signature(self) -> str:
        """Return all that is asked for but the page, as a text: the same for the same rows.

        Cursors are bound to it.
        """
        plan = self._meaning()
        names = [*(filter_.name for filter_ in plan.filters), *plan.own, "q"]
        asked = {name: _canonical(self._value(name)) for name in names}
        given = {name: value for name, value in asked.items() if value is not None}
        parts = [*(self.sort or plan.sorting.default)], given
        return json.dumps(parts, sort_keys=True, separators=(",", ":"))

    def _value(self, name: str) -> Any:
        # Not as an attribute: to read one that is deprecated is a warning for whoever wrote it.
        return vars(self)[name]

    @classmethod
    def _meaning(cls) -> Plan:
        if cls._plan is None:
            raise ConfigurationError(f"{cls.__name__} names no model: subclass ListQuery[Model].")
        return cls._plan

    @classmethod
    def _paging(cls) -> Sequence[Wire]:
        """Return the parameters that say which page."""
        return ()


class ListQuery(Criteria[ModelT], Generic[ModelT]):
    """What a client asks of a list with numbered rows: `limit` of them, after the first `offset`.

    Keywords of the class: those of `Criteria`, and `default_limit`, `max_limit` and `max_offset`.
    """

    limit: int = DEFAULT_LIMIT
    offset: int = 0

    @classmethod
    def _paging(cls) -> Sequence[Wire]:
        limit, maximum, offset = _page_sizes(cls.__name__, cls._options)
        return limit_parameter(limit, maximum), offset_parameter(offset)


class CursorQuery(Criteria[ModelT], Generic[ModelT]):
    """What a client asks of a list that is read on and on: `limit` rows from `cursor`.

    Keywords of the class: those of `Criteria`, and `default_limit` and `max_limit`.
    """

    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    @classmethod
    def _paging(cls) -> Sequence[Wire]:
        limit, maximum, _ = _page_sizes(cls.__name__, cls._options)
        return limit_parameter(limit, maximum), cursor_parameter()


_FIELDS = {
    **Criteria.__pydantic_fields__,
    **ListQuery.__pydantic_fields__,
    **CursorQuery.__pydantic_fields__,
}
_METHODS = {"attributes", "order_by", "signature", "spec"}


def _declared_fields(kind: type[Criteria[Any]]) -> Mapping[str, FieldInfo]:
    fields = kind.__pydantic_fields__
    taken = [
        name
        for name, info in fields.items()
        if name in _METHODS or (name in _FIELDS and info.annotation != _FIELDS[name].annotation)
    ]
    if taken:
        message = f"{kind.__name__}.{taken[0]}: the name is taken; use another, with on(...)."
        raise ConfigurationError(message)
    own = {name: info for name, info in fields.items() if name not in _FIELDS}
    _describe(kind, own)
    return own


def _describe(kind: type[Criteria[Any]], fields: Mapping[str, FieldInfo]) -> None:
    """Have fields say what stands below them, unless they say something else."""
    for ancestor in kind.__mro__:
        if undescribed := [name for name, info in fields.items() if info.description is None]:
            texts = attribute_docstrings(ancestor) if _is_written(ancestor) else dict[str, str]()
            for name in undescribed:
                fields[name].description = texts.get(name)


def _is_written(kind: type) -> bool:
    """Return whether a class is one of criteria that somebody has written, for a service."""
    if not issubclass(kind, Criteria) or kind.__module__.partition(".")[0] == _LIBRARY:
        return False
    # Others Pydantic has made, of a generic one and its argument.
    return kind.__pydantic_generic_metadata__["origin"] is None


def _page_sizes(kind: str, options: Options) -> tuple[int, int, int]:
    limit, maximum, offset = options.default_limit, options.max_limit, options.max_offset
    if limit is None or maximum is None or offset is None or not 1 <= limit <= maximum:
        raise ConfigurationError(f"{kind}: default_limit must be from 1 to max_limit ({maximum}).")
    if offset < 0:
        raise ConfigurationError(f"{kind}: max_offset must not be negative.")
    return limit, maximum, offset


def _canonical(value: Any) -> Any:
    """Return a value as JSON has it; equal ones are the same."""
    match value:
        case In():
            values = cast("In[Any]", value).values
            return sorted((_canonical(item) for item in values), key=str)
        case Operator():
            parts = {part: _canonical(getattr(value, part)) for part in value.parts}
            return {part: item for part, item in parts.items() if item is not None}
        case Enum():
            return _canonical(value.value)
        case _:
            return _canonical_scalar(value)


def _canonical_scalar(value: Any) -> Any:
    match value:
        case Decimal():
            # Not `normalize()`, which rounds.
            text = format(value, "f")
            return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"
        case timedelta():
            return value.total_seconds()
        case float():
            return value + 0.0  # -0.0 is 0.0.
        case None | bool() | int() | str():
            return value
        case _:
            return str(value)
