from datetime import timedelta

from hypothesis import given
from hypothesis.strategies import floats

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.freshness import Lifetime, Moments, moments_of, refresh_moment

MINUTE = timedelta(minutes=1)


def moments(lifetime: Lifetime, *, random: float = 0.0, jitter: float = 0.1) -> Moments:
    return moments_of(lifetime, now=1000, default=MINUTE, jitter=jitter, random=lambda: random)


def entry(*, making_s: float, stale_until: float = 200.0) -> Entry:
    return Entry(
        body=b"",
        stored_at=0,
        fresh_until=100,
        stale_until=stale_until,
        error_until=100,
        making_s=making_s,
    )


def test_what_says_nothing_is_fresh_for_as_long_as_the_settings_say() -> None:
    assert moments(Lifetime()) == Moments(1000, 1060, 1060, 1060)


def test_being_stale_comes_after_being_fresh() -> None:
    lifetime = Lifetime(expire=2 * MINUTE, stale=MINUTE, stale_if_error=3 * MINUTE)

    assert moments(lifetime) == Moments(1000, 1120, 1180, 1300)


def test_lifetimes_are_shortened_by_a_random_share() -> None:
    assert moments(Lifetime(), random=0.5).fresh_until == 1057
    assert moments(Lifetime(jitter=0.5), random=0.5).fresh_until == 1045
    assert moments(Lifetime(jitter=0), random=0.5).fresh_until == 1060


@given(floats(min_value=0, max_value=1, exclude_max=True))
def test_a_lifetime_is_never_longer_than_said_nor_shorter_than_the_jitter(random: float) -> None:
    assert 54 <= moments(Lifetime(), random=random).fresh_until - 1000 <= 60


def test_what_takes_long_to_make_is_made_anew_earlier() -> None:
    cheap, dear = (refresh_moment(entry(making_s=s), random=lambda: 0.5) for s in (0.1, 10))

    assert dear < cheap < 100


def test_what_may_not_be_stale_is_not_made_anew_before_its_time() -> None:
    assert refresh_moment(entry(making_s=10, stale_until=100), random=lambda: 0.5) == 100


@given(floats(min_value=0, max_value=1, exclude_max=True))
def test_nothing_is_made_anew_after_its_time(random: float) -> None:
    assert refresh_moment(entry(making_s=1), random=lambda: random) <= 100
