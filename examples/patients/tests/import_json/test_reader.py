"""Records out of a file."""

from io import BufferedReader, BytesIO

import pytest

from patients.import_json.reader import FormatError, Source, read_records


def read(content: str | bytes) -> list[object]:
    return [*read_records(source(content))]


def source(content: str | bytes) -> Source:
    encoded = content.encode() if isinstance(content, str) else content
    return Source(BufferedReader(BytesIO(encoded)))


def test_yields_the_elements_of_the_array() -> None:
    assert read('{"patients": [{"a": 1, "b": "é😀"}, "text", null, true, 2, {}]}') == [
        {"a": 1, "b": "é😀"},
        "text",
        None,
        True,
        2,
        {},
    ]


def test_passes_over_everything_else_in_the_file() -> None:
    content = (
        '{"$schema": "x", "doctors": [{"patients": [1]}], "patients": [2], "profile": {"a": [3]}}'
    )

    assert read(content) == [2]


def test_leaves_out_what_is_nested_in_a_record() -> None:
    content = '{"patients": [{"a": {"b": [1, {"c": 2}]}, "d": 3}, [[4], 5], {"e": []}]}'

    assert read(content) == [{"a": [], "d": 3}, [], {"e": []}]


def test_reads_numbers_as_javascript_does() -> None:
    whole, exact, huge, fraction = read('{"patients": [41, 41.0, 1e400, 41.5]}')

    assert (whole, exact, huge, fraction) == (41, 41.0, float("inf"), 41.5)
    assert isinstance(whole, int)
    assert isinstance(exact, float)


def test_reads_a_file_with_a_byte_order_mark() -> None:
    assert read(b'\xef\xbb\xbf{"patients": [1]}') == [1]


def test_keeps_half_of_a_surrogate_pair_for_the_rules_to_refuse() -> None:
    assert read('{"patients": ["\\ud83d"]}') == ["\ud83d"]


def test_reads_an_empty_collection() -> None:
    assert read('{"patients": []}') == []


def test_is_not_exhausted_by_deep_nesting() -> None:
    assert read('{"patients": [' + "[" * 50_000 + "]" * 50_000 + "]}") == [[]]


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "{",
        "[1, 2]",
        "null",
        '"patients"',
        "{}",
        '{"patients": {"a": 1}}',
        '{"patients": null}',
        '{"patient": []}',
        '{"patients": [1}',
        '{"patients": [1,]}',
        '{"patients": [1]',
        '{"patients": [1]} trailing',
        '{"patients": [NaN]}',
        '{"patients": [01]}',
        '{"patients": [' + "9" * 5000 + "]}",
        b'{"patients": ["\xff"]}',
        '{"patients": ["é"]}'.encode("utf-16"),
        b"PK\x03\x04",
    ],
)
def test_says_in_one_line_what_is_wrong_with_the_file(content: str | bytes) -> None:
    with pytest.raises(FormatError) as caught:
        read(content)

    assert str(caught.value)
    assert "\n" not in str(caught.value)


def test_yields_what_comes_before_the_fault() -> None:
    records = read_records(source('{"patients": [1, 2, oops'))

    assert [next(records), next(records)] == [1, 2]
    with pytest.raises(FormatError):
        next(records)
