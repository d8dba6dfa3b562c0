"""What an import reports: numbers, and each record that was not imported."""

import json
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TextIO

MAX_SHOWN = 20


class Outcome(StrEnum):
    """What became of a record."""

    IMPORTED = "imported"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record that was not imported, by its index in the array, and why.

    `field` is the first field at fault by its name in the file, `None` for the record itself.
    `is_refused` is false for a record that is stored already, exactly as it is in the file.
    """

    index: int
    outcome: Outcome
    field: str | None
    detail: str
    is_refused: bool = True


@dataclass(slots=True)
class Report:
    """The numbers so far, and the first refusals to show on screen.

    All other entries go to `details`, if there is such a file, so that an import of any size takes
    the same memory.
    """

    details: TextIO | None = None
    counts: Counter[Outcome] = field(default_factory=Counter[Outcome])
    refused: int = 0
    shown: list[Entry] = field(default_factory=list[Entry])

    @property
    def total(self) -> int:
        """Return how many records were read."""
        return self.counts.total()

    def add_imported(self, number: int) -> None:
        """Count records that were imported."""
        self.counts[Outcome.IMPORTED] += number

    def add(self, entry: Entry) -> None:
        """Count a record that was not imported."""
        self.counts[entry.outcome] += 1
        if entry.is_refused:
            self.refused += 1
            if len(self.shown) < MAX_SHOWN:
                self.shown.append(entry)
        if self.details is not None:
            separator = ",\n" if self.counts.total() - self.counts[Outcome.IMPORTED] > 1 else ""
            line = {"index": entry.index, "outcome": entry.outcome, "field": entry.field}
            self.details.write(separator + json.dumps(line, ensure_ascii=True))


@contextmanager
def open_report(path: Path | None) -> Generator[Report]:
    """Give a report, and write it to `path` as JSON when the import is over, however it ended.

    The file appears whole or not at all.

    Raises:
        OSError: If it cannot be written; before anything is imported if that can be known then.
    """
    if path is None:
        yield Report()
        return
    partial = path.with_name(f".{path.name}.partial")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as details:
        # Now, since an import without the report that was asked for would be of no use.
        target = partial.open("w", encoding="utf-8")
        report = Report(details=details)
        try:
            yield report
        finally:
            with target:
                _write(report, target, details)
            partial.replace(path)


def _write(report: Report, target: TextIO, details: TextIO) -> None:
    counts = {str(outcome): report.counts[outcome] for outcome in Outcome}
    head = json.dumps({"total": report.total, **counts}).removesuffix("}")
    target.write(f'{head}, "records": [\n')
    details.seek(0)
    target.writelines(details)
    target.write("\n]}\n")
