import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from fastapi_baseline.settings import AuthSettings

TESTS = Path(__file__).parents[1] / "api" / "auth"
FILES = ("test_lifetimes.py", "test_issuing_lifetimes.py")
# How long an issuer is waited for is no lifetime, and passes by the clock of the machine.
OTHERS = ["tokens.timeout"]


def read_walked(tree: ast.Module) -> dict[str, str]:
    """Return which durations a file says that it walks to their edge, and the tests that do."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WALKED":
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    raise AssertionError("The file says nothing of what it walks.")


def parse(name: str) -> ast.Module:
    return ast.parse((TESTS / name).read_text(encoding="utf-8"))


def durations_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        if isinstance(field.default, timedelta):
            yield prefix + name
        elif isinstance(field.default, BaseModel):
            yield from durations_of(type(field.default), f"{prefix}{name}.")


def test_no_lifetime_of_the_settings_is_left_out() -> None:
    walked = [name for file in FILES for name in read_walked(parse(file))]

    assert sorted([*walked, *OTHERS]) == sorted(durations_of(AuthSettings))


@pytest.mark.parametrize("file", FILES)
def test_what_walks_a_lifetime_is_a_test_of_it(file: str) -> None:
    tree = parse(file)
    bodies = {
        node.name: ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    for name, test in read_walked(tree).items():
        setting = name.rpartition(".")[2]
        assert setting in bodies[test], f"{test} has nothing to do with {name}"
