import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "src/fastapi_baseline"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
LONGEST_MODULE = 500
LONGEST_FUNCTION = 60
# What is read at one sight: without docstrings, blank lines and the overloads for checkers.
LONGEST_CLASS = 100
FORBIDDEN_NAMES = {"base", "common", "core", "helpers", "manager", "utils"}

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def public(node: ast.AST) -> Iterator[Documented]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.ClassDef(name=name) if not name.startswith("_"):
                yield child
                yield from public(child)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if (
                not name.startswith("_")
            ):
                if not _is_overload(child):
                    yield child
            case _:
                pass


def _is_overload(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}
    return not names.isdisjoint({"overload", "override", "setter"})


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def exports(tree: ast.Module) -> list[str] | None:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return ast.literal_eval(value)
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                return ast.literal_eval(value)
            case _:
                pass
    return None


def _constants_then_classes_then_functions(name: str) -> tuple[int, str]:
    return (0 if name.isupper() else 1 if name.lstrip("_")[:1].isupper() else 2, name)


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_everything_public_has_a_docstring(path: Path) -> None:
    tree = parse(path)

    without = [
        getattr(node, "name", "module")
        for node in (tree, *public(tree))
        if not ast.get_docstring(node)
    ]

    assert without == []


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_exports_are_sorted_and_named_once(path: Path) -> None:
    names = exports(parse(path)) or []

    assert names == sorted(set(names), key=_constants_then_classes_then_functions)


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_modules_and_functions_stay_small(path: Path) -> None:
    tree = parse(path)

    lines = len(path.read_text(encoding="utf-8").splitlines())
    long_functions = [
        function.name
        for function in functions(tree)
        if (function.end_lineno or 0) - function.lineno >= LONGEST_FUNCTION
    ]

    assert lines <= LONGEST_MODULE
    assert long_functions == []


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_public_classes_are_read_at_one_sight(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()

    long_classes = {
        node.name: length
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if (length := _lines_of_code(node, lines)) > LONGEST_CLASS
    }

    assert long_classes == {}


def _lines_of_code(node: ast.ClassDef, lines: list[str]) -> int:
    passed_over: set[int] = set()
    for part in ast.walk(node):
        if not isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(part):
            passed_over |= {*range(part.body[0].lineno, (part.body[0].end_lineno or 0) + 1)}
        if not isinstance(part, ast.ClassDef) and _is_overload(part):
            passed_over |= {*range(part.decorator_list[0].lineno, (part.end_lineno or 0) + 1)}
    numbers = range(node.lineno, (node.end_lineno or 0) + 1)
    return sum(bool(lines[n - 1].strip()) for n in numbers if n not in passed_over)


def test_no_module_has_a_name_that_says_nothing() -> None:
    names = {part for module in MODULES for part in module.split(".")}

    assert names.isdisjoint(FORBIDDEN_NAMES)


@pytest.mark.parametrize("path", MODULES.values(), ids=MODULES.keys())
def test_annotations_are_not_turned_into_strings(path: Path) -> None:
    imported = [
        alias.name
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]

    assert "annotations" not in imported
