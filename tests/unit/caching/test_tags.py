import pytest

from fastapi_baseline.caching.errors import InvalidTagError
from fastapi_baseline.caching.tags import Marks, check_tags, key_of, namespace_of


def test_tags_are_kept_in_their_order_without_repetitions() -> None:
    assert check_tags(["b", "a", "b"]) == ("b", "a")


@pytest.mark.parametrize("tags", ["patients", [""]], ids=["one text", "an empty one"])
def test_refuses_what_are_no_tags(tags: list[str]) -> None:
    with pytest.raises(InvalidTagError):
        check_tags(tags)


def test_a_key_knows_its_namespace() -> None:
    assert key_of("users", "a:b") == "users:a:b"
    assert namespace_of("users:a:b") == "users"
    assert namespace_of(key_of("", "a")) == ""


@pytest.mark.parametrize("namespace", ["a:b", "a*", "a}", "ä", "a b"])
def test_refuses_namespaces_that_mean_something_to_a_store(namespace: str) -> None:
    with pytest.raises(InvalidTagError):
        key_of(namespace, "x")


def test_what_was_asked_for_before_its_tag_was_invalidated_is_not_current() -> None:
    marks = Marks()
    before = marks.moment

    marks.mark(["a"])

    assert not marks.is_current(["b", "a"], before)
    assert marks.is_current(["b"], before)
    assert marks.is_current([], before)
    assert marks.is_current(["a"], marks.moment)


def test_an_invalidation_is_not_undone_by_another_one() -> None:
    marks = Marks()
    marks.mark(["a"])
    between = marks.moment

    marks.mark(["b"])

    assert marks.is_current(["a"], between)
    assert not marks.is_current(["b"], between)


def test_everything_can_be_invalid() -> None:
    marks = Marks()
    before = marks.moment

    marks.mark_all()

    assert not marks.is_current([], before)
    assert marks.is_current(["a"], marks.moment)


def test_with_more_names_than_it_remembers_everything_is_invalid() -> None:
    marks = Marks(max_marks=2)
    before = marks.moment

    marks.mark(["a", "b", "c"])

    assert not marks.is_current(["d"], before)
    assert marks.is_current(["a"], marks.moment)
