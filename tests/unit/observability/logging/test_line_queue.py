import threading
from collections.abc import Sequence
from datetime import timedelta

from fastapi_baseline.observability.logging.line_queue import LineQueue
from fastapi_baseline.observability.logging.standard_output import StandardOutput

AT_ONCE = timedelta(0)
LONG = timedelta(seconds=30)


class Reader(StandardOutput):
    """Stands still until it is told to read."""

    def __init__(self, *, is_reading: bool = True) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.threads: list[str] = []
        self.writes: list[int] = []
        self.has_begun = threading.Event()
        self.reading = threading.Event()
        if is_reading:
            self.reading.set()

    def write(self, lines: Sequence[str], *, patience: timedelta | None) -> bool:
        self.has_begun.set()
        if not self.reading.wait(None if patience is None else patience.total_seconds()):
            return False
        self.lines += lines
        self.writes.append(sum(len(line) + 1 for line in lines))
        self.threads.append(threading.current_thread().name)
        return True


def queue_to(reader: Reader) -> LineQueue:
    return LineQueue(reader, describe_loss=lambda lost, total: f"lost {lost} of {total}")


def put(queue: LineQueue, *lines: str, limit: int = 10_000) -> None:
    for line in lines:
        queue.put(line, limit=limit)


def test_writes_at_once_until_it_is_started() -> None:
    reader = Reader()
    queue = queue_to(reader)

    put(queue, "a")

    assert reader.lines == ["a"]
    assert reader.threads == [threading.current_thread().name]
    assert not queue.is_started


def test_writes_in_a_thread_once_it_is_started() -> None:
    reader = Reader()
    queue = queue_to(reader)

    queue.start()
    put(queue, "a", "b")

    assert queue.is_started
    assert queue.drain(LONG)
    assert reader.lines == ["a", "b"]
    assert set(reader.threads) == {"log-lines"}
    queue.finish(LONG)


def test_writes_at_once_again_when_it_has_finished() -> None:
    reader = Reader()
    queue = queue_to(reader)

    queue.start()
    put(queue, "a")
    assert queue.finish(LONG)
    put(queue, "b")

    assert reader.lines == ["a", "b"]
    assert reader.threads[-1] == threading.current_thread().name


def test_is_finished_when_all_who_started_it_have_finished() -> None:
    queue = queue_to(Reader())

    queue.start()
    queue.start()
    queue.finish(LONG)

    assert queue.is_started
    queue.finish(LONG)
    assert not queue.is_started


def test_can_be_started_again() -> None:
    reader = Reader()
    queue = queue_to(reader)

    for message in ("a", "b"):
        queue.start()
        put(queue, message)
        queue.finish(LONG)

    assert reader.lines == ["a", "b"]


def test_drops_what_finds_the_queue_full_and_says_so_later() -> None:
    reader = Reader(is_reading=False)
    queue = queue_to(reader)
    queue.start()
    put(queue, "taken")
    reader.has_begun.wait()

    put(queue, *(str(number) for number in range(20)), limit=9)
    dropped = queue.dropped
    reader.reading.set()
    assert queue.drain(LONG)
    put(queue, "later")
    assert queue.finish(LONG)

    assert dropped == queue.dropped == 11
    kept = [str(number) for number in range(9)]
    assert reader.lines.count("lost 11 of 11") == 1
    reader.lines.remove("lost 11 of 11")
    assert reader.lines == ["taken", *kept, "later"]


def test_does_not_wait_longer_than_it_may() -> None:
    reader = Reader(is_reading=False)
    queue = queue_to(reader)
    queue.start()
    put(queue, "a")

    assert not queue.drain(AT_ONCE)
    assert not queue.finish(AT_ONCE)
    reader.reading.set()


def test_writes_in_groups_that_stay_whole_in_a_pipe() -> None:
    reader = Reader(is_reading=False)
    queue = queue_to(reader)
    queue.start()
    put(queue, *("x" * 999 for _ in range(100)), "y" * 10_000)

    reader.reading.set()
    queue.finish(LONG)

    assert len(reader.lines) == 101
    assert all(size <= 4096 for size in reader.writes if size < 10_000)
    assert len(reader.writes) < 101


def test_takes_lines_of_many_threads() -> None:
    reader = Reader()
    queue = queue_to(reader)
    queue.start()
    threads = [
        threading.Thread(target=put, args=(queue, *(f"{n}-{m}" for m in range(500))))
        for n in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.finish(LONG)

    assert len(set(reader.lines)) == len(reader.lines) == 2000
    for n in range(4):
        of_thread = [line for line in reader.lines if line.startswith(f"{n}-")]
        assert of_thread == [f"{n}-{m}" for m in range(500)]
