import pytest

from fastapi_baseline.caching.entries import Entry, State


def entry(*, stale_until: float = 20, error_until: float = 30) -> Entry:
    return Entry(
        body=b"x",
        stored_at=0,
        fresh_until=10,
        stale_until=stale_until,
        error_until=error_until,
    )


@pytest.mark.parametrize(
    ("moment", "state"),
    [(0, "fresh"), (9.9, "fresh"), (10, "stale"), (20, "fallback"), (30, None)],
)
def test_is_first_fresh_then_stale_then_a_fallback(moment: float, state: State | None) -> None:
    assert entry().state_at(moment) == state


def test_without_a_time_to_be_stale_it_is_a_fallback_at_once() -> None:
    assert entry(stale_until=10).state_at(10) == "fallback"


def test_is_kept_for_as_long_as_it_is_good_for_anything() -> None:
    assert entry().kept_until == 30
    assert entry(error_until=10).kept_until == 20


def test_its_size_is_that_of_all_its_parts() -> None:
    sized = Entry(
        body=b"12345",
        stored_at=0,
        fresh_until=0,
        stale_until=0,
        error_until=0,
        headers=((b"a", b"bc"),),
        variants={"gzip": b"12"},
    )

    assert sized.size == 10
