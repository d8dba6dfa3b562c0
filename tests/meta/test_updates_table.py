"""The table of updates, from what pytest reports of them."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/updates_table.py"
CASE = """
<testcase name="{name}"><properties>
<property name="from" value="{old}"/><property name="to" value="{new}"/>
<property name="edits" value="3"/>
</properties>{outcome}</testcase>
"""
FAILED = "<failure message='lost'/>"


@pytest.fixture
def table_of(tmp_path: Path) -> Callable[..., list[str]]:
    """Give a function that returns the rows for updates: from, to, and what came of it."""
    script = runpy.run_path(str(SCRIPT))

    def make(*updates: tuple[str, str, str]) -> list[str]:
        cases = [
            CASE.format(name=number, old=old, new=new, outcome=outcome)
            for number, (old, new, outcome) in enumerate(updates)
        ]
        report = tmp_path / "report.xml"
        others = '<testcase name="of no update"/>'
        report.write_text(
            f"<testsuites><testsuite>{''.join(cases)}{others}</testsuite></testsuites>",
            encoding="utf-8",
        )
        return script["write"](script["read"](report)).splitlines()[2:]

    return make


def test_counts_updates_and_those_that_failed(table_of: Callable[..., list[str]]) -> None:
    update = ("v0.1.0", "v0.2.0")

    assert table_of((*update, ""), (*update, FAILED)) == [
        "| 0.1.0 | 0.2.0 | 2 | 6 | **1 in 2** |",
    ]


def test_says_the_same_whatever_the_order_of_tests(table_of: Callable[..., list[str]]) -> None:
    updates = [("v0.9.0", "v99.0.0", ""), ("v0.10.0", "v99.0.0", ""), ("v0.9.0", "v0.10.0", "")]

    rows = table_of(*updates)

    assert rows == table_of(*reversed(updates))
    assert [row.split("|")[1:3] for row in rows] == [
        [" 0.9.0 ", " 0.10.0 "],
        [" 0.9.0 ", " a release to come "],
        [" 0.10.0 ", " a release to come "],
    ]
