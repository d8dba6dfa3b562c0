import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.redis import KeySpace


def hash_tag(key: str) -> str:
    """Return what a cluster makes the slot of, as its specification says."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


def test_a_key_says_whose_it_is() -> None:
    keys = KeySpace("cache", format=2, namespace="shop")

    assert keys.key("abc") == "cache:2:shop:{abc}"
    assert keys.key("abc", "lock", "1") == "cache:2:shop:{abc}:lock:1"


@given(
    tag=st.text(min_size=1),
    one=st.lists(st.text()),
    other=st.lists(st.text()),
)
def test_keys_with_one_tag_are_in_one_slot(tag: str, one: list[str], other: list[str]) -> None:
    keys = KeySpace("cache")

    tags = {hash_tag(keys.key(tag, *parts)) for parts in (one, other)}

    assert len(tags) == 1


names = st.tuples(
    st.text("ab:{}%3A", min_size=1, max_size=4), st.lists(st.text("ab:{}%3A", max_size=4))
)


@given(one=names, other=names)
def test_different_names_are_different_keys(
    one: tuple[str, list[str]], other: tuple[str, list[str]]
) -> None:
    keys = KeySpace("cache")

    same = keys.key(one[0], *one[1]) == keys.key(other[0], *other[1])

    assert same == (one == other)


def test_spells_a_pattern_that_finds_its_keys_alone() -> None:
    assert KeySpace("cache", namespace="a*[b]").pattern == r"cache:1:a\*\[b\]:*"


def test_refuses_braces_in_a_namespace() -> None:
    with pytest.raises(ConfigurationError, match="braces"):
        KeySpace("cache", namespace="{shop}")


def test_refuses_an_empty_tag() -> None:
    with pytest.raises(ValueError, match="empty"):
        KeySpace("cache").key("", "x")
