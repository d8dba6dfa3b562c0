from collections.abc import Collection, Mapping

import pytest

from fastapi_baseline.releases.forecast import (
    FileForecast,
    Forecast,
    Outcome,
    Trees,
    forecast_files,
)

NAME = "file.txt"


def forecast(
    contents: tuple[str | None, ...],
    *,
    conflicts: Collection[str] = (),
    moves: Mapping[str, str] | None = None,
    hidden: Collection[str] = (),
) -> tuple[FileForecast, ...]:
    """Return the forecast of a file by what it has: old, new, before and after."""
    old, new, before, after = (
        dict[str, str]() if content is None else {NAME: content} for content in contents
    )
    trees = Trees(
        old=old,
        new=new,
        before=before,
        after=after,
        conflicts=conflicts,
        moves=moves or {},
        hidden=hidden,
    )
    return forecast_files(trees, lambda path: [f"diff of {path}"])


@pytest.mark.parametrize(
    ("old", "new", "before", "after", "outcome"),
    [
        (None, "n", None, "n", Outcome.ADDED),
        ("o", "n", "o", "n", Outcome.UPDATED),
        ("o", "n", "mine", "both", Outcome.MERGED),
        (None, "n", "mine", "both", Outcome.MERGED),
        ("o", None, "o", None, Outcome.REMOVED),
        ("o", None, "mine", None, Outcome.LOST),
        ("o", "o", "mine", None, Outcome.LOST),
        ("o", "n", None, None, Outcome.MISSED),
    ],
)
def test_tells_what_becomes_of_a_file(
    old: str | None, new: str | None, before: str | None, after: str | None, outcome: Outcome
) -> None:
    (file,) = forecast((old, new, before, after))

    assert file.outcome is outcome


@pytest.mark.parametrize(
    ("old", "new", "before"),
    [
        ("o", "o", "o"),
        ("o", "o", "mine"),
        ("o", "o", None),
        ("o", None, None),
        (None, None, "mine"),
        # The service has had the change before the template did.
        ("o", "n", "mine"),
    ],
)
def test_does_not_name_what_stays_as_it_is(
    old: str | None, new: str | None, before: str | None
) -> None:
    assert forecast((old, new, before, before)) == ()


def test_believes_copier_that_there_is_a_conflict() -> None:
    (file,) = forecast(("o", "n", "mine", "marks"), conflicts={NAME})

    assert file.outcome is Outcome.CONFLICT


def test_says_where_a_file_has_moved_to_and_what_it_misses() -> None:
    (file,) = forecast(("o", "n", None, None), moves={NAME: "other.txt"})

    assert file.moved_to == "other.txt"
    assert file.change == (f"diff of {NAME}",)


def test_keeps_a_file_that_git_does_not_know() -> None:
    (file,) = forecast((None, "n", None, "n"), hidden={NAME})

    assert file.outcome is Outcome.MISSED


def test_counts_for_programs() -> None:
    files = (
        FileForecast(path="a", outcome=Outcome.CONFLICT),
        FileForecast(path="b", outcome=Outcome.MISSED, moved_to="c", change=("-1", "+2")),
    )

    found = Forecast(source="1.0.0", target="1.1.0", files=files)

    assert found.has_conflicts
    document = found.as_document()
    assert (document["from"], document["to"]) == ("1.0.0", "1.1.0")
    assert document["counts"]["conflict"] == document["counts"]["missed"] == 1
    assert document["counts"]["lost"] == 0
    assert document["files"] == [
        {"path": "a", "outcome": "conflict"},
        {"path": "b", "outcome": "missed", "moved_to": "c", "change": "-1\n+2"},
    ]
