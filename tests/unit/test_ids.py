from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.clock import SystemClock
from fastapi_baseline.ids import UUID7Generator, uuid7
from fastapi_baseline.testing import ManualClock

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


class WallClock(SystemClock):
    """A clock that people may set."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


def test_makes_the_example_of_rfc_9562() -> None:
    # RFC 9562, appendix A.6: 017F22E2-79B0-7CC3-98C4-DC0C0C07398F.
    moment = datetime.fromtimestamp(0x017F22E279B0 / 1000, UTC)
    counter = (0xCC3 << 30) | (0x18C4DC0C0C07398F >> 32)
    bits = iter([counter, 0x0C07398F])
    make = UUID7Generator(clock=ManualClock(moment), randbits=lambda _: next(bits))

    assert make() == UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


def test_has_the_version_and_the_variant_of_rfc_9562() -> None:
    made = uuid7()

    assert made.version == 7
    assert made.variant == RFC_4122


def test_starts_with_the_milliseconds_of_the_clock() -> None:
    make = UUID7Generator(clock=ManualClock(NOON))

    assert make().int >> 80 == int(NOON.timestamp() * 1000)


def test_rises_within_one_millisecond() -> None:
    make = UUID7Generator(clock=ManualClock(NOON))

    made = [make() for _ in range(10_000)]

    assert made == sorted(set(made))


def test_rises_when_the_clock_is_set_back() -> None:
    clock = WallClock()
    make = UUID7Generator(clock=clock)
    before = make()

    clock.time -= timedelta(hours=1)

    assert make() > before


def test_lets_the_time_run_ahead_rather_than_wrap_its_counter() -> None:
    make = UUID7Generator(clock=ManualClock(NOON), randbits=lambda _: (1 << 42) - 1)

    last, first_of_next = make(), make()

    assert first_of_next > last
    assert first_of_next.int >> 80 == (last.int >> 80) + 1


def test_rises_across_threads_without_repeating() -> None:
    make = UUID7Generator()

    with ThreadPoolExecutor(8) as pool:
        made = [waiting.result() for waiting in [pool.submit(make) for _ in range(5_000)]]

    assert len(set(made)) == 5_000


@given(st.lists(st.integers(min_value=-5_000, max_value=5_000), max_size=50))
def test_rises_however_the_clock_jumps(jumps_ms: list[int]) -> None:
    clock = WallClock()
    make = UUID7Generator(clock=clock)
    made = [make()]

    for jump in jumps_ms:
        clock.time += timedelta(milliseconds=jump)
        made.append(make())

    assert made == sorted(set(made))
