import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
NAME = re.compile(r"test_([jbs][0-9]{2})_")
# Of tokens, of browsers and their sessions, and of servers and their users.
ATTACKS = [
    *(f"j{number:02}" for number in range(1, 27)),
    *(f"b{number:02}" for number in range(1, 27)),
    *(f"s{number:02}" for number in range(1, 28)),
]


@pytest.fixture(scope="module")
def tested() -> set[str]:
    """Give the attacks that tests of the library name."""
    found: set[str] = set()
    for path in (*TESTS.glob("api/auth/*.py"), *TESTS.glob("unit/auth/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                match = NAME.match(node.name)
                found |= {match[1]} if match else set()
    return found


@pytest.mark.parametrize("attack", ATTACKS)
def test_every_attack_has_a_test(attack: str, tested: set[str]) -> None:
    assert attack in tested
