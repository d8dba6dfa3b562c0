"""What one asker may see and change of a model, beyond what the model itself allows."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Column, and_
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.visitors import ExternallyTraversible, iterate

from fastapi_baseline.errors import FieldError
from fastapi_baseline.persistence.errors import HiddenColumnError, ReadOnlyColumnError
from fastapi_baseline.persistence.specification import Condition, Spec, condition_of

ModelT = TypeVar("ModelT")

Action = Literal["create", "update", "delete"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy(Generic[ModelT]):
    """Rows that may be read, created, updated and deleted, and columns that are out of reach.

    It means what row security means in PostgreSQL (CREATE POLICY): a row that does not meet `read`
    is not there; one is changed only if it meets `update` before and after; a new one must meet
    `create`. What is left out is as `read` says, and without `read` every row may be read.

    `hidden` columns are not loaded, and nothing can be filtered, sorted or shown by them;
    `read_only` ones cannot be set. `name` says whose view it is: page cursors are bound to it, or
    to what `read` says if there is no name.
    """

    read: Spec[ModelT] | Condition | None = None
    create: Spec[ModelT] | Condition | None = None
    update: Spec[ModelT] | Condition | None = None
    delete: Spec[ModelT] | Condition | None = None
    hidden: Collection[QueryableAttribute[Any]] = ()
    read_only: Collection[QueryableAttribute[Any]] = ()
    name: str = ""

    def __and__(self, other: "Policy[ModelT]") -> "Policy[ModelT]":
        """Return the policy that allows what both allow."""
        return Policy(
            read=_both(self.read, other.read),
            create=_joined(self, other, "create"),
            update=_joined(self, other, "update"),
            delete=_joined(self, other, "delete"),
            hidden=(*self.hidden, *other.hidden),
            read_only=(*self.read_only, *other.read_only),
            # Half a name would be one that others may have, too.
            name=f"{self.name}&{other.name}" if self.name and other.name else "",
        )

    @property
    def readable(self) -> Sequence[Condition]:
        """Return what a row must meet to be there."""
        return [] if self.read is None else [condition_of(self.read)]

    @property
    def scope(self) -> str:
        """Return what tells the view of this asker from that of another."""
        if self.name or self.read is None:
            return self.name
        compiled = condition_of(self.read).compile()
        return f"{compiled} {sorted(compiled.params.items(), key=str)}"

    def before(self, action: Action) -> Sequence[Condition]:
        """Return what a row must meet to be updated or deleted; that includes to be there."""
        own: Spec[ModelT] | Condition | None = getattr(self, action)
        return [*self.readable, *([] if own is None else [condition_of(own)])]

    def after(self, action: Action) -> Condition | None:
        """Return what a row that was created or updated must meet, if anything."""
        said = _said(self, action)
        return None if said is None else condition_of(said)

    def check_reach(self, parts: Iterable[ExternallyTraversible], *, doing: str) -> None:
        """Refuse conditions, orders or columns in which a hidden column occurs.

        Raises:
            HiddenColumnError: If one does; it does not say which.
        """
        hidden = set(_columns(self.hidden))
        if hidden and any(
            isinstance(found, Column) and found in hidden
            for part in parts
            for found in iterate(part)
        ):
            raise HiddenColumnError(f"This cannot be {doing} by that.")

    def check_settable(self, names: Iterable[str]) -> None:
        """Refuse to set a column that is hidden or read-only.

        Raises:
            ReadOnlyColumnError: If one of the attributes is; its `fields` name them.
        """
        fixed = {attribute.key for attribute in (*self.read_only, *self.hidden)}
        refused = sorted(fixed.intersection(names))
        if refused:
            raise ReadOnlyColumnError(
                fields=[
                    FieldError(
                        path=(name,),
                        detail="It cannot be set.",
                        code=ReadOnlyColumnError.code,
                    )
                    for name in refused
                ]
            )


def _said(policy: Policy[ModelT], action: Action) -> Spec[ModelT] | Condition | None:
    """Return what is said of an action, or else of reading."""
    own: Spec[ModelT] | Condition | None = getattr(policy, action)
    return policy.read if own is None else own


def _joined(one: Policy[ModelT], other: Policy[ModelT], action: Action) -> Spec[ModelT] | None:
    if getattr(one, action) is None and getattr(other, action) is None:
        return None
    return _both(_said(one, action), _said(other, action))


def _columns(attributes: Iterable[QueryableAttribute[Any]]) -> Iterable[Column[Any]]:
    for attribute in attributes:
        yield from attribute.property.columns


def _both(
    one: Spec[ModelT] | Condition | None, other: Spec[ModelT] | Condition | None
) -> Spec[ModelT] | None:
    said = [condition_of(spec) for spec in (one, other) if spec is not None]
    return Spec(and_(*said)) if said else None
