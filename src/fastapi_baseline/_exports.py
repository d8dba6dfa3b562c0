"""Names of a package that are imported when they are first used.

Checkers cannot see what `__getattr__` returns, so a package also imports them below
`if TYPE_CHECKING`.
"""

import importlib
import sys
from collections.abc import Callable, Mapping


def export_lazily(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return the `__getattr__` and the `__dir__` of a package (PEP 562).

    `homes` says which submodule of the package each name comes from.
    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, list_names
