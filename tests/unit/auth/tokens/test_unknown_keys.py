from datetime import timedelta

from fastapi_baseline.auth.tokens.unknown_keys import MAX_REMEMBERED, UnknownKeys

COOLDOWN = timedelta(seconds=30)


def test_lets_one_look_happen_in_a_while() -> None:
    unknown = UnknownKeys(COOLDOWN)

    assert unknown.take_look("a", "ES256", now=0)
    assert not unknown.take_look("b", "ES256", now=29.9)
    assert unknown.take_look("b", "ES256", now=30)
    assert unknown.until == 60


def test_one_that_was_looked_for_in_vain_leaves_the_next_look_to_another() -> None:
    unknown = UnknownKeys(COOLDOWN)
    unknown.note("a", "ES256", now=0)

    assert not unknown.take_look("a", "ES256", now=30)
    assert unknown.take_look("a", "RS256", now=30)
    assert unknown.take_look("a", "ES256", now=60)


def test_remembers_no_more_than_so_many() -> None:
    unknown = UnknownKeys(COOLDOWN)

    for number in range(MAX_REMEMBERED + 1):
        unknown.note(str(number), "ES256", now=0)

    assert unknown.take_look("0", "ES256", now=30)
    assert not unknown.take_look("1", "ES256", now=60 - 0.1)
