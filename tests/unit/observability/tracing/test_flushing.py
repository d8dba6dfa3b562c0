import logging
import threading
from datetime import timedelta

import pytest

from fastapi_baseline.observability.tracing import flush, make_tracing_lifespan

A_MOMENT = timedelta(milliseconds=20)


class FakeProvider:
    def __init__(self, *, result: bool = True, error: Exception | None = None) -> None:
        self.flushed = 0
        self._result = result
        self._error = error

    def force_flush(self, timeout_millis: int = 0) -> bool:
        self.flushed += 1
        if self._error is not None:
            raise self._error
        return self._result


class SilentCollector:
    """Does not answer before it is let go."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.ended = threading.Event()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        self.released.wait()
        self.ended.set()
        return True


async def test_sends_what_is_held_back_when_the_application_stops() -> None:
    provider = FakeProvider()

    async with make_tracing_lifespan(provider)(object()):
        before = provider.flushed

    assert (before, provider.flushed) == (0, 1)


async def test_sends_it_also_when_the_application_fails() -> None:
    provider = FakeProvider()

    with pytest.raises(RuntimeError, match="broken"):
        async with make_tracing_lifespan(provider)(object()):
            raise RuntimeError("broken")

    assert provider.flushed == 1


async def test_can_be_used_again() -> None:
    provider = FakeProvider()
    lifespan = make_tracing_lifespan(provider)

    for _ in range(2):
        async with lifespan(object()):
            pass

    assert provider.flushed == 2


async def test_does_not_wait_for_a_collector_that_does_not_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    collector = SilentCollector()

    with caplog.at_level(logging.WARNING):
        async with make_tracing_lifespan(collector, budget=A_MOMENT)(object()):
            pass

    assert "not sent" in caplog.text
    assert not collector.ended.is_set()
    collector.released.set()
    assert collector.ended.wait(10)


async def test_an_error_of_the_sdk_is_logged_and_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert not await flush(FakeProvider(error=OSError("no route")))

    assert "no route" in caplog.text


async def test_says_that_spans_were_refused() -> None:
    assert not await flush(FakeProvider(result=False))
