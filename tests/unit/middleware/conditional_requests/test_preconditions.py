from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.middleware.conditional_requests.preconditions import (
    evaluate,
    find_preconditions,
)

BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
MODIFIED = "Sun, 06 Nov 1994 08:49:37 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
DATED = {"Last-Modified": MODIFIED}
TAGGED = {"ETag": '"1"'}
WEAK = {"ETag": 'W/"1"'}
BOTH = TAGGED | DATED


def _status(asked: dict[str, str], answered: dict[str, str]) -> int:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in asked.items()]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answered.items()]
    return evaluate(find_preconditions(raw), headers).value


@pytest.mark.parametrize(
    ("value", "answered", "status"),
    [
        ('"1"', TAGGED, 304),
        ('W/"1"', TAGGED, 304),
        ('"1"', WEAK, 304),
        ('W/"1"', WEAK, 304),
        ('"2"', TAGGED, 200),
        ('"0", "1", "2"', TAGGED, 304),
        ('"0","2"', TAGGED, 200),
        ('"0,1"', TAGGED, 200),
        ('"0,1"', {"ETag": '"0,1"'}, 304),
        (', "1" ,', TAGGED, 304),
        ("*", TAGGED, 304),
        ("*", {}, 304),
        ("*", DATED, 304),
        ('"1"', {}, 200),
        ('"1"', DATED, 200),
        ("1", TAGGED, 200),
        ("1", {"ETag": "1"}, 200),
        ('"1', TAGGED, 200),
        ('"1" "2"', TAGGED, 200),
        ("", TAGGED, 200),
        ('"\xe9"', {"ETag": '"\xe9"'}, 304),
    ],
)
def test_a_client_that_has_it_needs_no_other_one(
    value: str, answered: dict[str, str], status: int
) -> None:
    assert _status({"If-None-Match": value}, answered) == status


@pytest.mark.parametrize(
    ("value", "answered", "status"),
    [
        (MODIFIED, DATED, 304),
        (AFTER, DATED, 304),
        (BEFORE, DATED, 200),
        (MODIFIED, TAGGED, 200),
        (MODIFIED, {}, 200),
        ("Sunday, 06-Nov-94 08:49:37 GMT", DATED, 304),
        ("yesterday", DATED, 200),
        (MODIFIED, {"Last-Modified": "yesterday"}, 200),
    ],
)
def test_a_client_that_has_seen_it_since_needs_no_other_one(
    value: str, answered: dict[str, str], status: int
) -> None:
    assert _status({"If-Modified-Since": value}, answered) == status


@pytest.mark.parametrize(
    ("value", "answered", "status"),
    [
        ('"1"', TAGGED, 200),
        ('"0", "1"', TAGGED, 200),
        ("*", TAGGED, 200),
        ("*", {}, 200),
        ('"2"', TAGGED, 412),
        ('W/"1"', TAGGED, 412),
        ('W/"1"', WEAK, 412),
        ('"1"', WEAK, 412),
        ('"1"', {}, 412),
        ("1", TAGGED, 412),
    ],
)
def test_a_client_that_wants_another_one_is_refused(
    value: str, answered: dict[str, str], status: int
) -> None:
    assert _status({"If-Match": value}, answered) == status


@pytest.mark.parametrize(
    ("value", "answered", "status"),
    [
        (MODIFIED, DATED, 200),
        (AFTER, DATED, 200),
        (BEFORE, DATED, 412),
        (BEFORE, TAGGED, 200),
        ("yesterday", DATED, 200),
    ],
)
def test_a_client_that_wants_it_unmodified_is_refused_what_was_modified(
    value: str, answered: dict[str, str], status: int
) -> None:
    assert _status({"If-Unmodified-Since": value}, answered) == status


# RFC 9110, section 13.2.2: tags before dates, and refusing before confirming.
@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"If-None-Match": '"2"', "If-Modified-Since": AFTER}, 200),
        ({"If-None-Match": '"1"', "If-Modified-Since": BEFORE}, 304),
        ({"If-None-Match": "malformed", "If-Modified-Since": AFTER}, 200),
        ({"If-Match": '"1"', "If-Unmodified-Since": BEFORE}, 200),
        ({"If-Match": '"2"', "If-Unmodified-Since": AFTER}, 412),
        ({"If-Match": '"2"', "If-None-Match": '"1"'}, 412),
        ({"If-Match": '"1"', "If-None-Match": '"1"'}, 304),
        ({"If-Unmodified-Since": BEFORE, "If-None-Match": '"1"'}, 412),
    ],
)
def test_keeps_to_the_order_of_the_standard(asked: dict[str, str], status: int) -> None:
    assert _status(asked, BOTH) == status


def test_reads_several_headers_as_one_list() -> None:
    found = find_preconditions(
        [(b"if-none-match", b'"1"'), (b"a", b"b"), (b"if-none-match", b'"2"')]
    )

    assert found == {b"if-none-match": b'"1", "2"'}


@given(
    st.dictionaries(
        st.sampled_from(
            [b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since"]
        ),
        st.binary(max_size=40),
    ),
    st.lists(st.tuples(st.sampled_from([b"etag", b"last-modified"]), st.binary(max_size=40))),
)
def test_any_headers_have_an_answer(
    preconditions: dict[bytes, bytes], headers: list[tuple[bytes, bytes]]
) -> None:
    assert evaluate(preconditions, headers) in {
        HTTPStatus.OK,
        HTTPStatus.NOT_MODIFIED,
        HTTPStatus.PRECONDITION_FAILED,
    }
