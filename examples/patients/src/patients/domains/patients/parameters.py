"""What the documentation says about the parameters of a list, which are read from the raw query."""

from typing import Any

from patients.domains.patients.query import DEFAULT_PAGE_SIZE, Operator
from patients.domains.patients.schemas import EXAMPLE, PatientField

_MEANINGS = {
    Operator.EQ: "is one of these, exactly",
    Operator.NE: "is none of these",
    Operator.GTE: "is at least this (text by code point)",
    Operator.LTE: "is at most this (text by code point)",
    Operator.LIKE: "contains this, in any case; ^ stands for the start, $ for the end, .* for anything",
}


def _parameter(
    name: str, description: str, *, schema: dict[str, Any], example: object
) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _filter(field: PatientField, operator: Operator) -> dict[str, Any]:
    several = operator in {Operator.EQ, Operator.NE}
    schema: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
    return _parameter(
        f"{field}{operator}",
        f"`{field}` {_MEANINGS[operator]}",
        schema=schema if several else {"type": "string"},
        example=[str(EXAMPLE[field])] if several else str(EXAMPLE[field]),
    )


def _text(name: str, description: str, *, example: str) -> dict[str, Any]:
    return _parameter(name, description, schema={"type": "string"}, example=example)


def _count(name: str, description: str, *, example: int) -> dict[str, Any]:
    return _parameter(name, description, schema={"type": "integer", "minimum": 0}, example=example)


PARAMETERS: list[dict[str, Any]] = [
    _text("q", "Some field contains this, in any case", example="évariste"),
    _text("_sort", "Fields to sort by, separated by commas", example="lastVisit,name"),
    _text("_order", "`asc` or `desc` for each of them, separated by commas", example="desc,asc"),
    _count("_page", "The page, counted from 1", example=1),
    _count("_limit", f"How many at most; {DEFAULT_PAGE_SIZE} on a page", example=20),
    _count("_start", "How many to leave out first; needs `_end` or `_limit`", example=20),
    _count("_end", "Where to stop", example=40),
    *(_filter(field, operator) for field in PatientField for operator in Operator),
]
"""The `parameters` of the operation in OpenAPI."""
