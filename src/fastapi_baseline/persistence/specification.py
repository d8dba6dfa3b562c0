"""Conditions on the rows of one model, as values that can be named, joined and passed around."""

from dataclasses import dataclass
from typing import Any, Generic, Self

from sqlalchemy import ColumnElement, and_, false, not_, or_, true
from sqlalchemy.orm import QueryableAttribute, RelationshipProperty
from typing_extensions import TypeVar

# A condition does not tell its model, so without an annotation one is of any.
ModelT = TypeVar("ModelT", default=Any)

Condition = ColumnElement[bool]


# Without slots: `Spec[Order](...)` notes its parameter on the instance, which Python 3.11 does not
# manage if a frozen class has them.
@dataclass(frozen=True, eq=False)
class Spec(Generic[ModelT]):
    """What rows of a model must meet: `Spec(Order.paid.is_(True)) & ~Spec(Order.total > 100)`.

    It joins with plain expressions, too, and SQLAlchemy takes it wherever it takes those. Every read of a repository takes one, and so do `update_where` and `delete_where`. After
    Evans and Fowler, "Specifications".
    """

    condition: Condition

    @classmethod
    def all(cls) -> Self:
        """Return one that every row meets."""
        return cls(true())

    @classmethod
    def none(cls) -> Self:
        """Return one that no row meets."""
        return cls(false())

    def __and__(self, other: "Spec[ModelT] | Condition") -> "Spec[ModelT]":
        return Spec(and_(self.condition, condition_of(other)))

    def __or__(self, other: "Spec[ModelT] | Condition") -> "Spec[ModelT]":
        return Spec(or_(self.condition, condition_of(other)))

    def __invert__(self) -> "Spec[ModelT]":
        return Spec(not_(self.condition))

    def __clause_element__(self) -> Condition:
        return self.condition


def condition_of(spec: Spec[Any] | Condition) -> Condition:
    """Return the expression that a specification stands for, or is."""
    return spec.condition if isinstance(spec, Spec) else spec


def related(relationship: QueryableAttribute[Any], to: Spec[Any] | Condition) -> Spec[Any]:
    """Return what rows meet that are related to at least one row that meets `to`.

    It is an `EXISTS`, never a join: no row comes twice.
    """
    is_to_many = isinstance(relationship.property, RelationshipProperty) and bool(
        relationship.property.uselist
    )
    exists = relationship.any if is_to_many else relationship.has
    return Spec(exists(condition_of(to)))
