"""What stands below the attributes of a class, as Sphinx and Pydantic read it."""

import ast
import inspect
import itertools
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

_Function = ast.FunctionDef | ast.AsyncFunctionDef


def attribute_docstrings(cls: type) -> Mapping[str, str]:
    """Return the texts below the annotated attributes that a class itself defines, by their names.

    There are none where the source is not there. Pydantic's `use_attribute_docstrings` does the
    same for each class that is defined, and looks through all modules for each: that is a tenth of
    the time in which a service starts, for texts that hardly a process reads.
    """
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return {} if file is None else _texts_in(file).get(cls.__qualname__, {})


@lru_cache(maxsize=256)
def _texts_in(file: str) -> Mapping[str, Mapping[str, str]]:
    """Return these texts for all classes of a file, by their qualified names."""
    try:
        module = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        # It is no source, or has been changed since it was imported.
        return {}
    return {name: _texts_of(kind.body) for name, kind in _classes(module.body)}


def _classes(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield f"{prefix}{node.name}", node
            yield from _classes(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, _Function):
            yield from _classes(node.body, f"{prefix}{node.name}.<locals>.")


def _texts_of(body: Sequence[ast.stmt]) -> Mapping[str, str]:
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
