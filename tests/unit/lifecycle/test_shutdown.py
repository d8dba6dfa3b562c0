import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType

import pytest

from fastapi_baseline.lifecycle import Availability, GracefulShutdown

LONG = timedelta(minutes=5)


class Server:
    """A server that hears of SIGTERM by a handler, as uvicorn does."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        self.heard.set()


class End:
    def __init__(self) -> None:
        self.codes: list[int] = []
        self.came = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self._loop.call_soon_threadsafe(self.came.set)


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def end() -> End:
    return End()


@pytest.fixture(autouse=True)
def _handlers(server: Server) -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, server.handle_exit)
    yield
    signal.signal(signal.SIGTERM, before)
    # What would end a process that hangs.
    for timer in threading.enumerate():
        if isinstance(timer, threading.Timer):
            timer.cancel()


def send_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_drains_first_and_then_tells_the_server(server: Server, end: End) -> None:
    availability = Availability()
    shutdown = GracefulShutdown(
        availability, drain_delay=timedelta(milliseconds=50), limit=LONG, end=end
    )
    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        await availability.wait_until_draining()

        heard_at_first = server.heard.is_set()
        await server.heard.wait()

    assert not heard_at_first
    assert end.codes == []


async def test_tells_the_server_at_once_without_a_delay(server: Server, end: End) -> None:
    shutdown = GracefulShutdown(Availability(), drain_delay=timedelta(0), limit=LONG, end=end)

    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        await server.heard.wait()


async def test_ends_at_once_when_it_is_told_twice(server: Server, end: End) -> None:
    written: list[str] = []
    shutdown = GracefulShutdown(
        Availability(),
        drain_delay=LONG,
        limit=LONG,
        before_exit=lambda: written.append("flushed"),
        end=end,
    )

    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        send_sigterm()
        await end.came.wait()

    assert end.codes == [143]
    assert written == ["flushed"]
    assert not server.heard.is_set()


async def test_ends_although_writing_the_last_lines_fails(end: End) -> None:
    def fail() -> None:
        raise OSError("no space left")

    shutdown = GracefulShutdown(
        Availability(), drain_delay=LONG, limit=LONG, before_exit=fail, end=end
    )

    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        send_sigterm()
        await end.came.wait()

    assert end.codes == [143]


async def test_a_third_time_does_not_even_wait_for_the_event_loop(end: End) -> None:
    shutdown = GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG, end=end)

    async with shutdown.lifespan(None):
        send_sigterm()
        send_sigterm()
        send_sigterm()

        assert end.codes == [143]


async def test_leaves_the_second_signal_of_a_worker_to_its_parent(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    availability = Availability()
    shutdown = GracefulShutdown(availability, drain_delay=LONG, limit=LONG, end=end)

    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        send_sigterm()
        send_sigterm()
        await availability.wait_until_draining()

    assert end.codes == []


async def test_ends_a_process_that_does_not_stop_in_time(
    server: Server, end: End, caplog: pytest.LogCaptureFixture
) -> None:
    shutdown = GracefulShutdown(
        Availability(), drain_delay=timedelta(0), limit=-timedelta(seconds=1), end=end
    )

    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        await end.came.wait()

    assert end.codes == [1]
    assert "Not stopped within" in caplog.text


async def test_gives_the_signal_back_when_all_has_stopped(server: Server, end: End) -> None:
    shutdown = GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG, end=end)

    async with shutdown.lifespan(None):
        assert signal.getsignal(signal.SIGTERM) != server.handle_exit

    assert signal.getsignal(signal.SIGTERM) == server.handle_exit


async def test_keeps_a_handler_that_was_installed_later(end: End) -> None:
    shutdown = GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG, end=end)

    def theirs(number: int, frame: FrameType | None) -> None: ...

    async with shutdown.lifespan(None):
        signal.signal(signal.SIGTERM, theirs)

    assert signal.getsignal(signal.SIGTERM) is theirs


async def test_leaves_sigint_to_the_server() -> None:
    before = signal.getsignal(signal.SIGINT)

    async with GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG).lifespan(None):
        assert signal.getsignal(signal.SIGINT) == before


async def test_changes_nothing_where_no_server_handles_the_signal() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)

    async with GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG).lifespan(None):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_changes_nothing_outside_of_the_main_thread(server: Server) -> None:
    found: list[object] = []

    async def serve() -> None:
        async with GracefulShutdown(Availability(), drain_delay=LONG, limit=LONG).lifespan(None):
            found.append(signal.getsignal(signal.SIGTERM))

    await asyncio.to_thread(asyncio.run, serve())

    assert found == [server.handle_exit]


async def test_an_application_that_starts_again_takes_traffic_again(
    server: Server, end: End
) -> None:
    availability = Availability()
    shutdown = GracefulShutdown(availability, drain_delay=timedelta(0), limit=LONG, end=end)
    async with asyncio.timeout(5), shutdown.lifespan(None):
        send_sigterm()
        await server.heard.wait()

    async with shutdown.lifespan(None):
        assert availability.takes_traffic
