"""What `make` offers."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OFFERED = re.findall(
    r"^\t@echo 'make (\w+) ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize("target", OFFERED)
def test_does_something_for_each_word_that_it_offers(target: str) -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", target],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    assert said.strip()
    assert "Nothing to be done" not in said
