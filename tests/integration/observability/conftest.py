import time
from collections.abc import Callable
from typing import TypeVar

import pytest

ResultT = TypeVar("ResultT")

_PATIENCE_SECONDS = 60


@pytest.fixture
def eventually() -> Callable[[Callable[[], object]], object]:
    """Ask until the answer is one, and give it."""

    def ask(question: Callable[[], ResultT | None]) -> ResultT:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = question()
            if answer:
                return answer
            time.sleep(0.05)
        raise AssertionError(f"There was no answer in time: {question()!r}")

    return ask
