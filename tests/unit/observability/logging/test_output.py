import io
import logging
import os
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from fastapi_baseline.observability.logging.output import LineOutput
from fastapi_baseline.observability.logging.standard_output import StandardOutput

AT_ONCE = timedelta(0)
LONG = timedelta(seconds=30)


class Reader(StandardOutput):
    """Stands still until it is told to read."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.has_begun = threading.Event()
        self.reading = threading.Event()

    def write(self, lines: Sequence[str], *, patience: timedelta | None) -> bool:
        self.has_begun.set()
        self.reading.wait()
        self.lines += lines
        return True


def output_to(reader: Reader, *, size: int = 100) -> LineOutput:
    return LineOutput(size=size, stream=reader)


def record_of(message: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("shop", level, "shop.py", 1, message, (), None)


def put(output: LineOutput, *messages: str, level: int = logging.INFO) -> None:
    for message in messages:
        output.handle(record_of(message, level))


def test_keeps_room_for_what_is_important() -> None:
    reader = Reader()
    output = output_to(reader, size=10)
    output.start()
    put(output, "taken")
    reader.has_begun.wait()

    put(output, *("flood" for _ in range(100)))
    put(output, "broken", level=logging.ERROR)
    reader.reading.set()
    output.finish(LONG)

    assert "broken" in reader.lines


def test_counts_what_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    output = LineOutput(size=10)
    monkeypatch.setattr(sys, "stdout", None)

    put(output, "a", "b")

    assert output.dropped == 2


def test_obeys_filters(capsys: pytest.CaptureFixture[str]) -> None:
    output = LineOutput(size=10)
    output.addFilter(lambda record: record.msg != "no")

    put(output, "no", "yes")

    assert capsys.readouterr().out == "yes\n"


def test_does_not_fail_the_caller_if_a_formatter_does(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise RuntimeError

    output = output_to(Reader())
    output.setFormatter(Broken())

    put(output, "a")

    assert "Logging error" in capsys.readouterr().err


def test_a_copied_process_forgets_what_waits_and_writes_at_once() -> None:
    reader = Reader()
    output = output_to(reader)
    output.start()
    put(output, "of the parent")
    reader.has_begun.wait()
    put(output, "of the parent, too")

    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.stdout = written = io.StringIO()
            put(output, "of the child")
            code = 0 if written.getvalue() == "of the child\n" and not output.is_queueing else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    reader.reading.set()
    output.finish(LONG)

    assert os.waitstatus_to_exitcode(status) == 0
    assert reader.lines == ["of the parent", "of the parent, too"]
