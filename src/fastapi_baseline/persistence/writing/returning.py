"""Conditions as a RETURNING clause can ask them."""

from typing import Any

from sqlalchemy import BinaryExpression, func, null
from sqlalchemy.sql.operators import is_, is_distinct_from, is_not, is_not_distinct_from
from sqlalchemy.sql.visitors import replacement_traverse

from fastapi_baseline.persistence.specification import Condition

_ASKING_FOR_NULL = {is_, is_not, is_distinct_from, is_not_distinct_from}


def returnable(condition: Condition) -> Condition:
    """Return a condition that means the same, and means it in RETURNING too.

    SQLite 3.40 is wrong there about whether a column is NULL, if the one before it cannot be.
    """

    def replaced(element: Any, **more: object) -> Any:
        del more
        if not isinstance(element, BinaryExpression) or element.operator not in _ASKING_FOR_NULL:
            return None
        left, right = element.left, element.right
        return func.coalesce(left, null(), type_=left.type).operate(element.operator, right)

    return replacement_traverse(condition, {}, replaced)
