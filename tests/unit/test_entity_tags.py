import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.entity_tags import (
    MAX_ENTITY_TAGS,
    EntityTag,
    EntityTags,
    InvalidEntityTagError,
)

OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'))
TAGS = st.builds(EntityTag, OPAQUE, weak=st.booleans())


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ('"3"', EntityTag("3")),
        ('W/"3"', EntityTag("3", weak=True)),
        ('""', EntityTag("")),
        (' "a,b"\t', EntityTag("a,b")),
        ('"\xe4!#~"', EntityTag("\xe4!#~")),
    ],
)
def test_reads_a_tag(written: str, tag: EntityTag) -> None:
    assert EntityTag.parse(written) == tag


@pytest.mark.parametrize(
    "written", ["", "3", '"3', '3"', 'w/"3"', 'W/ "3"', '"a b"', '"a"b"', '"\x7f"', "*", '"3", "4"']
)
def test_refuses_what_is_no_tag(written: str) -> None:
    with pytest.raises(InvalidEntityTagError):
        EntityTag.parse(written)


@given(TAGS)
def test_a_tag_that_is_written_reads_as_the_same(tag: EntityTag) -> None:
    assert EntityTag.parse(str(tag)) == tag


@given(st.lists(TAGS, min_size=1, max_size=MAX_ENTITY_TAGS))
def test_a_list_that_is_written_reads_as_the_same(tags: list[EntityTag]) -> None:
    listed = EntityTags(tuple(tags))

    assert EntityTags.parse(str(listed)) == listed


@given(st.text(st.characters(max_codepoint=0xFF), max_size=60))
def test_any_header_is_read_or_refused(value: str) -> None:
    try:
        listed = EntityTags.parse(value)
    except InvalidEntityTagError:
        return
    assert EntityTags.parse(str(listed)) == listed


@pytest.mark.parametrize("written", ["", ",", "3", '"1" "2"', '*, "1"', '"1", two', '"1'])
def test_refuses_what_is_no_list(written: str) -> None:
    with pytest.raises(InvalidEntityTagError):
        EntityTags.parse(written)


def test_refuses_more_tags_than_anybody_sends() -> None:
    with pytest.raises(InvalidEntityTagError):
        EntityTags.parse(",".join(['"1"'] * (MAX_ENTITY_TAGS + 1)))


# The table of RFC 9110, section 8.8.3.2.
@pytest.mark.parametrize(
    ("one", "other", "strong", "weak"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', 'W/"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_compares_as_the_standard_says(one: str, other: str, strong: bool, weak: bool) -> None:
    listed, tag = EntityTags.parse(one), EntityTag.parse(other)

    assert listed.has_strong(tag) is strong
    assert listed.has_weak(tag) is weak


def test_finds_a_tag_anywhere_in_a_list() -> None:
    listed = EntityTags.parse('"1", "a,b",W/"3"')

    assert listed.has_strong(EntityTag("a,b"))
    assert listed.has_weak(EntityTag("3"))
    assert not listed.has_weak(EntityTag("a"))


def test_an_asterisk_is_whatever_there_is() -> None:
    listed = EntityTags.parse(" * ")

    assert str(listed) == "*"
    assert listed.has_strong(EntityTag("1", weak=True))
    assert listed.has_strong(None)
    assert listed.has_weak(None)


def test_what_has_no_tag_is_in_no_list() -> None:
    listed = EntityTags.parse('"1"')

    assert not listed.has_strong(None)
    assert not listed.has_weak(None)
