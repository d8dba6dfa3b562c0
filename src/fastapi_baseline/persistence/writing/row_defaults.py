"""What the defaults of columns say, for rows and values that SQLAlchemy does not fill in itself."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Dialect
from sqlalchemy.orm import Mapper
from sqlalchemy.schema import DefaultGenerator


class RowContext:
    """What the function of a default is given: as much of an `ExecutionContext` as rows have."""

    def __init__(self, dialect: Dialect, options: Mapping[str, Any]) -> None:
        """Speak of rows that are written with these execution options."""
        self.dialect = dialect
        self.execution_options = options
        self.current_parameters: Mapping[str, Any] = {}

    def get_current_parameters(
        self,
        isolate_multiinsert_groups: bool = True,  # noqa: FBT001, FBT002 -- SQLAlchemy's signature
    ) -> dict[str, Any]:
        """Return the values that the present row has so far, by the keys of its columns."""
        del isolate_multiinsert_groups
        return dict(self.current_parameters)


def is_python_side(default: DefaultGenerator | None) -> bool:
    """Return whether a default is a value or a function, and no SQL."""
    return default is not None and not default.is_clause_element and not default.is_sequence


def evaluated(default: Any, context: RowContext) -> Any:
    """Return the value of a default that is a value or a function."""
    return default.arg(context) if default.is_callable else default.arg


def discriminator(mapper: Mapper[Any]) -> dict[str, Any]:
    """Return what says in a row which class of a hierarchy it is of; by attribute name."""
    if mapper.polymorphic_on is None or mapper.polymorphic_identity is None:
        return {}
    return {
        name: mapper.polymorphic_identity
        for name, column in mapper.columns.items()
        if column is mapper.polymorphic_on
    }
