import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.entity_tags import MAX_ENTITY_TAGS, EntityTag, EntityTags
from fastapi_baseline.middleware.compression.encoders import CODINGS
from fastapi_baseline.middleware.compression.variants import (
    tag_of_coding,
    tag_that_matched,
    take_endings_off,
)


@pytest.mark.parametrize(
    ("plain", "encoded"),
    [
        (b'"abc"', b'"abc-gzip"'),
        (b'""', b'"-gzip"'),
        (b'"a-br"', b'"a-br-gzip"'),
        (b'W/"abc"', b'W/"abc"'),
        (b"abc", b"abc"),
        (b'"abc', b'"abc'),
        (b"", b""),
    ],
)
def test_a_strong_tag_gets_an_ending(plain: bytes, encoded: bytes) -> None:
    assert tag_of_coding(plain, "gzip") == encoded


def _if_none_match(value: bytes, *acceptable: str) -> bytes:
    [(name, result)] = take_endings_off([(b"if-none-match", value)], acceptable=acceptable)
    assert name == b"if-none-match"
    return result


def _if_match(value: bytes) -> bytes:
    [(_, result)] = take_endings_off([(b"if-match", value)], acceptable=())
    return result


@pytest.mark.parametrize(
    ("sent", "known"),
    [
        (b'"abc-gzip"', b'"abc", "abc-gzip"'),
        (b'"abc-br"', b'"abc", "abc-br"'),
        (b'W/"abc-gzip"', b'W/"abc", W/"abc-gzip"'),
        (b'"a-gzip", "b" , "c-br"', b'"a", "c", "a-gzip", "b", "c-br"'),
        (b'"a-br-gzip"', b'"a-br", "a-br-gzip"'),
        (b'"-gzip"', b'"", "-gzip"'),
        (b'"abc"', b'"abc"'),
        (b'"gzip"', b'"gzip"'),
        (b'"abc-deflate"', b'"abc-deflate"'),
        (b'"abc-gzip', b'"abc-gzip'),
        (b'abc-gzip"', b'abc-gzip"'),
        (b'"abc-gzip"x', b'"abc-gzip"x'),
        (b"*", b"*"),
        (b"", b""),
    ],
)
def test_takes_endings_off(sent: bytes, known: bytes) -> None:
    assert _if_none_match(sent, *CODINGS) == known
    assert _if_match(sent) == known


def test_keeps_the_ending_of_a_coding_that_the_client_can_no_longer_read() -> None:
    assert _if_none_match(b'"abc-gzip"', "br") == b'"abc-gzip"'
    assert _if_none_match(b'"a-gzip", "b-br"', "br") == b'"b", "a-gzip", "b-br"'


def test_any_coding_is_a_version_that_can_be_changed() -> None:
    assert _if_match(b'"abc-zstd"') == b'"abc", "abc-zstd"'


def test_leaves_other_headers_alone() -> None:
    headers = [(b"if-range", b'"abc-gzip"'), (b"x-tag", b'"abc-gzip"'), (b"range", b"bytes=0-1")]

    assert take_endings_off(headers, acceptable=CODINGS) == headers


def test_makes_no_list_longer_than_is_allowed() -> None:
    sent = ", ".join(f'"{number}-br"' for number in range(MAX_ENTITY_TAGS)).encode()

    known = EntityTags.parse(_if_match(sent).decode())

    assert known == EntityTags(tuple(EntityTag(str(number)) for number in range(MAX_ENTITY_TAGS)))


@pytest.mark.parametrize(
    ("asked", "codings", "tag"),
    [
        ([b'"abc-gzip"'], ["gzip", None], b'"abc-gzip"'),
        ([b'"abc"'], ["gzip", None], b'"abc"'),
        ([b'"abc", "abc-gzip"'], ["gzip", None], b'"abc-gzip"'),
        ([b'"abc"', b'"abc-gzip"'], ["gzip", None], b'"abc-gzip"'),
        ([b'"abc", "abc-br"'], ["gzip", None, "gzip", "br"], b'"abc"'),
        ([b'"abc-br"'], ["gzip", None, "gzip", "br"], b'"abc-br"'),
        ([b'W/"abc-gzip"'], ["gzip", None], b'"abc-gzip"'),
        ([b"*"], ["gzip", None], b'"abc"'),
        ([b'"other-gzip"'], ["gzip", None], b'"abc"'),
        ([b"malformed"], ["gzip", None], b'"abc"'),
        ([b'"abc-br"'], ["gzip", None], b'"abc"'),
    ],
)
def test_confirms_the_tag_that_was_asked_for(
    asked: list[bytes], codings: list[str | None], tag: bytes
) -> None:
    assert tag_that_matched(b'"abc"', asked, codings) == tag


def test_confirms_a_weak_tag_as_it_is() -> None:
    assert tag_that_matched(b'W/"abc"', [b'W/"abc"'], ["gzip", None]) == b'W/"abc"'


OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f'))


@given(OPAQUE, st.sampled_from(CODINGS))
def test_what_was_sent_encoded_is_recognised_inside(opaque: str, coding: str) -> None:
    tag = EntityTag(opaque)
    sent = tag_of_coding(str(tag).encode("latin-1"), coding)

    assert EntityTags.parse(_if_match(sent).decode("latin-1")).has_strong(tag)
    assert EntityTags.parse(_if_none_match(sent, coding).decode("latin-1")).has_weak(tag)


@given(st.binary(max_size=60))
def test_takes_any_header(value: bytes) -> None:
    _if_match(value + b'-gzip"')
    _if_none_match(b'"a-gzip' + value, *CODINGS)
    tag_that_matched(value, [value], ["gzip", None])
