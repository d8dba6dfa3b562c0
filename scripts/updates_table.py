"""Write the table of updates into the documentation: python scripts/updates_table.py REPORT.xml.

With `--check`, nothing is written, and it fails if the table says something else than the report.
"""

import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

PAGE = Path(__file__).parents[1] / "docs/explanation/updates.md"
BEGIN, END = "<!-- written by nox -s updates -->\n", "<!-- until here -->\n"
HEAD = (
    "| From | To | Updates | Edits in them | Conflicts, lost edits or differences |\n"
    "|---|---|---|---|---|\n"
)
# Made in the test, with one release's worth of changes to every kind of file.
TO_COME = "99."


@dataclass
class Row:
    """What came of the updates between two releases."""

    updates: int = 0
    edits: int = 0
    failed: int = 0


def read(report: Path) -> dict[tuple[str, str], Row]:
    """Return what a report of pytest says, by the two releases."""
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 -- pytest's own
        said = {item.get("name"): item.get("value", "") for item in case.iter("property")}
        if "from" not in said:
            continue
        row = rows[str(said["from"]), str(said["to"])]
        row.updates += 1
        row.edits += int(said.get("edits", "0"))
        row.failed += any(case.find(kind) is not None for kind in ("failure", "error"))
    return dict(rows)


def write(rows: dict[tuple[str, str], Row]) -> str:
    """Return the table."""
    lines = [
        f"| {_named(old)} | {_named(new)} | {row.updates} | {row.edits} |"
        f" **{row.failed} in {row.updates}** |\n"
        # Tests run in any order.
        for (old, new), row in sorted(rows.items(), key=lambda item: tuple(map(Version, item[0])))
    ]
    return HEAD + "".join(lines)


def _named(release: str) -> str:
    version = release.removeprefix("v")
    return "a release to come" if version.startswith(TO_COME) else version


def main(arguments: list[str]) -> None:
    """Put the table in its place, or compare it."""
    report, *options = arguments
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n{write(read(Path(report)))}\n{END}{after}"
    if "--check" in options:
        if new != text:
            sys.exit(f"{PAGE.name} is not what the report says: run nox -s updates")
        return
    PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
