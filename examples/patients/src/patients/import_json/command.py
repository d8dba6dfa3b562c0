"""The command line of the import."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from fastapi_baseline.errors import BaselineError
from fastapi_baseline.persistence import Database
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy import Connection, inspect

from patients.import_json.importer import import_records
from patients.import_json.reader import FormatError, Source, read_records
from patients.import_json.report import Entry, Outcome, Report, open_report
from patients.settings import Settings

_DONE = 0
_REFUSED = 1
_USAGE = 2
_INTERRUPTED = 130

_DESCRIPTION = """\
Import the patients of a json-server database into the database of this service, which DATABASE_URL
names (see .env.example). Create the tables first: baseline db upgrade

FILE is read as a stream, so it may be of any size: {"patients": [{...}, ...]}
A record that breaks a rule is reported and left out, and the others are imported. Records are
stored in batches; after a failure or Ctrl-C, run the same command again: what is stored already is
skipped."""

_EPILOG = """\
exit codes:
  0  every record is in the database, as it is in the file
  1  a record was refused, or the import could not be finished
  2  the command line is wrong, or a file that it names cannot be opened

examples:
  python -m patients.import_json db.json
  python -m patients.import_json db.json --report report.json
  DATABASE_URL=postgresql://user:password@host/name python -m patients.import_json db.json"""


class ImportFailedError(Exception):
    """The import cannot go on; the message is one line for the screen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    options = _parser().parse_args(arguments)
    report = Report()
    try:
        with options.file.open("rb") as stream, open_report(options.report) as report:
            size = options.file.stat().st_size
            asyncio.run(_import(stream, size=size, report=report))
    except OSError as error:
        return _complain(f"{error.filename or options.file}: {error.strerror or error}", _USAGE)
    except KeyboardInterrupt:
        _print_report(report)
        return _complain("interrupted; run the same command again to go on", _INTERRUPTED)
    except (FormatError, ImportFailedError, BaselineError) as error:
        _print_report(report)
        where = f"{options.file}: " if isinstance(error, FormatError) else ""
        return _complain(f"{where}{error}", _REFUSED)
    _print_report(report)
    return _REFUSED if report.refused else _DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m patients.import_json",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the db.json to import")
    parser.add_argument(
        "--report",
        metavar="FILE",
        type=Path,
        help="also write the report as JSON, with every record that was not imported",
    )
    return parser


async def _import(stream: BufferedReader, *, size: int, report: Report) -> None:
    database = Database.from_settings(Settings.load())
    try:
        async with database.read_engine.connect() as connection:
            if not await connection.run_sync(_has_table):
                raise ImportFailedError(
                    "the database has no table for patients: run 'baseline db upgrade' first"
                )
        source = Source(stream)
        with _progress(source, size=size) as advance:
            records = _advancing(read_records(source), advance)
            await import_records(records, database=database, report=report)
    finally:
        await database.dispose()


def _has_table(connection: Connection) -> bool:
    return inspect(connection).has_table("patient")


def _advancing(records: Iterator[object], advance: Callable[[], None]) -> Iterator[object]:
    for record in records:
        advance()
        yield record


@contextmanager
def _progress(source: Source, *, size: int) -> Generator[Callable[[], None]]:
    """Show how much of the file is read, on a terminal only; give what moves the bar."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (TextColumn("Importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=size or None)
        yield lambda: progress.update(task, completed=source.position)


def _print_report(report: Report) -> None:
    counts = ", ".join(f"{report.counts[outcome]:,} {outcome}" for outcome in Outcome)
    print(f"{report.total:,} records: {counts}")
    if not report.shown:
        return
    width = max(len(_readable(entry)) for entry in report.shown)
    for entry in report.shown:
        print(f"  {entry.index:>8}  {entry.outcome:<8} {_readable(entry):<{width}}  {entry.detail}")
    if report.refused > len(report.shown):
        print(f"  and {report.refused - len(report.shown):,} more; --report FILE lists them all")


def _readable(entry: Entry) -> str:
    """Return the name of the field, which may hold anything, as text for a terminal."""
    if entry.field is None:
        return "(record)"
    return entry.field if entry.field.isidentifier() else json.dumps(entry.field)


def _complain(message: str, code: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code
