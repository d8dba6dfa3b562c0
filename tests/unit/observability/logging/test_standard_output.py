import io
import os
import select
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta

import pytest

from fastapi_baseline.observability.logging.standard_output import StandardOutput

SOON = timedelta(milliseconds=1)


class Pipe:
    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        self.stream = os.fdopen(self.writer, "w", closefd=False)

    def fill(self) -> int:
        os.set_blocking(self.writer, False)
        filled = 0
        try:
            while True:
                filled += os.write(self.writer, b"." * select.PIPE_BUF)
        except BlockingIOError:
            os.set_blocking(self.writer, True)
            return filled

    def close(self) -> None:
        for end in (self.reader, self.writer):
            try:
                os.close(end)
            except OSError:
                continue


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def write(pipe: Pipe, output: StandardOutput, *lines: str, patience: timedelta | None) -> bool:
    with redirect_stdout(pipe.stream):
        return output.write(lines, patience=patience)


def test_writes_lines_as_bytes(pipe: Pipe) -> None:
    assert write(pipe, StandardOutput(), "a", "ü", "\udc00", patience=None)

    assert os.read(pipe.reader, 100) == "a\nü\n\\udc00\n".encode()


def test_writes_to_what_is_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)

    assert StandardOutput().write(["a"], patience=None)

    assert stream.getvalue() == "a\n"


def test_says_that_there_is_nowhere_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)

    assert not StandardOutput().write(["a"], patience=None)


def test_says_that_the_reader_has_gone(pipe: Pipe) -> None:
    os.close(pipe.reader)

    assert not write(pipe, StandardOutput(), "a", patience=None)


def test_waits_for_a_slow_reader_no_longer_than_it_may(pipe: Pipe) -> None:
    output = StandardOutput()
    pipe.fill()

    assert not write(pipe, output, "a", patience=SOON)
    # It would take a day, if it were waited for once more.
    assert not write(pipe, output, "b", patience=timedelta(days=1))


def test_goes_on_when_the_reader_reads_again(pipe: Pipe) -> None:
    output = StandardOutput()
    filled = pipe.fill()
    write(pipe, output, "a", patience=SOON)
    os.read(pipe.reader, filled)

    assert write(pipe, output, "b", patience=SOON)

    assert os.read(pipe.reader, 100) == b"b\n"


def test_writes_more_than_the_pipe_holds(pipe: Pipe) -> None:
    long = "x" * 300_000
    parts: list[bytes] = []

    def read() -> None:
        while not parts or not parts[-1].endswith(b"\n"):
            parts.append(os.read(pipe.reader, 65_536))

    reader = threading.Thread(target=read)
    reader.start()
    is_written = write(pipe, StandardOutput(), long, patience=timedelta(seconds=30))
    reader.join()

    assert is_written
    assert b"".join(parts) == long.encode() + b"\n"


def test_waits_although_somebody_has_made_it_non_blocking(pipe: Pipe) -> None:
    filled = pipe.fill()
    os.set_blocking(pipe.writer, False)
    reader = threading.Timer(0.01, os.read, args=(pipe.reader, filled))
    reader.start()

    is_written = write(pipe, StandardOutput(), "a", patience=None)
    reader.join()

    assert is_written
    assert os.read(pipe.reader, 100) == b"a\n"


def test_ends_a_line_that_was_cut_before_the_next_one(pipe: Pipe) -> None:
    output = StandardOutput()
    write(pipe, output, "x" * 1_000_000, patience=SOON)
    torn = b""
    while select.select([pipe.reader], [], [], 0)[0]:
        torn += os.read(pipe.reader, 65_536)

    write(pipe, output, "whole", patience=SOON)

    assert torn
    assert set(torn) == {ord("x")}
    assert os.read(pipe.reader, 100) == b"\nwhole\n"


def test_holds_others_back(pipe: Pipe) -> None:
    output = StandardOutput()

    output.hold(SOON)
    is_written_meanwhile = write(pipe, output, "a", patience=SOON)
    output.release()

    assert not is_written_meanwhile
    assert write(pipe, output, "b", patience=SOON)


def test_releases_only_what_it_holds(pipe: Pipe) -> None:
    output = StandardOutput()
    output.hold(SOON)

    output.hold(SOON)
    output.release()
    output.release()

    assert not write(pipe, output, "a", patience=SOON)
