"""Optional libraries: imported where they are used, with an error that says how to get them."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from fastapi_baseline.errors import MissingExtraError


@contextmanager
def optional(*modules: str, extra: str) -> Generator[None]:
    """Turn the absence of any of `modules`, imported in the block, into a `MissingExtraError`.

    Only their absence: an installed library that fails inside its own import keeps its error.

    Raises:
        MissingExtraError: If one of them is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in modules:
            raise
        message = (
            f"This needs the library {error.name!r}, which is not installed: "
            f"pip install 'fastapi-baseline[{extra}]'"
        )
        raise MissingExtraError(message) from error


def require(*modules: str, extra: str) -> None:
    """Say now that a library is not installed that is imported later, when there is need of it.

    Raises:
        MissingExtraError: If one of `modules` is not installed.
    """
    with optional(*modules, extra=extra):
        for module in modules:
            if find_spec(module) is None:
                raise ModuleNotFoundError(name=module)


class Untyped:
    """Stands for a class of a library without types, to inherit from: it can have any attribute."""

    def __init__(self, *values: Any, **more: Any) -> None:
        """Take anything."""

    def __getattr__(self, name: str) -> Any:
        """Have anything, for type checkers."""
        raise AttributeError(name)
