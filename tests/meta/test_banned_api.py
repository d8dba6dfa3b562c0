import json
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BANNED: dict[str, dict[str, str]] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]


def findings(source: str, *, name: str) -> list[dict[str, str]]:
    """Return what ruff says of a module of the library that has this source."""
    result = subprocess.run(
        ("ruff", "check", "--no-cache", "--output-format=json", f"--stdin-filename={name}", "-"),
        capture_output=True,
        check=False,
        cwd=ROOT,
        input=source,
        text=True,
    )
    assert result.returncode in {0, 1}, result.stderr
    return json.loads(result.stdout)


def use(name: str) -> str:
    """Return a module that uses a dotted name in the way people do."""
    module, _, member = name.rpartition(".")
    if module == "datetime.datetime":
        return f"import datetime\n\nnow = datetime.datetime.{member}()\n"
    return f"from {module} import {member}\n\nused = {member}\n"


def use_through_its_module(name: str) -> str:
    module, _, member = name.rpartition(".")
    imported = "datetime" if module == "datetime.datetime" else module
    return f"import {imported}\n\nused = {module}.{member}\n"


@pytest.mark.parametrize("folder", ["src/fastapi_baseline", "tests/unit"])
@pytest.mark.parametrize("source", [use, use_through_its_module], ids=["from", "import"])
@pytest.mark.parametrize("name", sorted(BANNED))
def test_each_entry_bites_and_says_what_to_do_instead(
    name: str, source: Callable[[str], str], folder: str
) -> None:
    found = findings(source(name), name=f"{folder}/planted.py")

    messages = [finding["message"] for finding in found if finding["code"] == "TID251"]
    assert len(messages) == 1
    assert name in messages[0]
    assert BANNED[name]["msg"] in messages[0]


def test_what_is_asked_for_instead_is_let_through() -> None:
    source = "from datetime import UTC\nfrom time import monotonic\n\nused = (UTC, monotonic)\n"

    found = findings(source, name="src/fastapi_baseline/planted.py")

    assert "TID251" not in {finding["code"] for finding in found}


@pytest.mark.parametrize("name", sorted(BANNED))
def test_no_entry_names_something_that_is_gone(name: str) -> None:
    module, _, member = name.rpartition(".")
    statement = (
        f"import datetime; {name}"
        if module == "datetime.datetime"
        else f"from {module} import {member}"
    )

    exec(statement)  # noqa: S102 - the statement is written above
