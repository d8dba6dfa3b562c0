"""What schemathesis may not ask for; `schemathesis.toml` names this module."""

from importlib import import_module
from typing import Any, cast

# It has an environment of its own, which type checkers do not see.
schemathesis: Any = import_module("schemathesis")


@schemathesis.hook
def map_body(_context: object, body: object) -> object:
    """Return a body with whole numbers as JSON has them everywhere.

    To JSON Schema `2.0` is an integer. To Pydantic it is none where `true` and `"2"` are none.
    """
    if not isinstance(body, dict):
        return body
    fields = cast("dict[str, Any]", body)
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in fields.items()
    }
