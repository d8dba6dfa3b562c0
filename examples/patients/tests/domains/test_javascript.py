"""JavaScript's reading of text and numbers."""

import math

import pytest

from patients.domains.patients.javascript import canonicalize, parse_int, to_lower_case, to_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("45", 45.0),
        (" \ufeff45\n", 45.0),
        ("", 0.0),
        ("+4.5e1", 45.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0x10", math.nan),
        ("0x2D", 45.0),
        ("0b11", 3.0),
        ("0o17", 15.0),
        ("-Infinity", -math.inf),
        ("1e400", math.inf),
        ("0x" + "f" * 900, math.inf),
        ("infinity", math.nan),
        ("nan", math.nan),
        ("1_000", math.nan),
        ("٤٥", math.nan),
        ("4 5", math.nan),
    ],
)
def test_reads_a_number_as_javascript_does(text: str, number: float) -> None:
    read = to_number(text)

    assert read == number or (math.isnan(read) and math.isnan(number))


@pytest.mark.parametrize(
    ("text", "number"),
    [("12", 12), (" 12abc", 12), ("-3", -3), ("1e3", 1), ("abc", None), ("", None), ("٣", None)],
)
def test_reads_the_integer_that_a_text_begins_with(text: str, number: int | None) -> None:
    assert parse_int(text) == number


@pytest.mark.parametrize(
    ("one", "other"),
    [("évariste", "ÉVARISTE"), ("шевченко", "ШЕВЧЕНКО"), ("σ", "ς"), ("µ", "Μ"), ("łu", "ŁU")],
)
def test_takes_letters_of_another_case_for_the_same(one: str, other: str) -> None:
    assert canonicalize(one) == canonicalize(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ß", "ss"), ("ß", "ẞ"), ("ı", "i"), ("İ", "i"), ("ſ", "s"), ("\u212a", "k"), ("𐐀", "𐐨")],
)
def test_tells_apart_what_a_regular_expression_does(one: str, other: str) -> None:
    assert canonicalize(one) != canonicalize(other)


def test_keeps_the_length_of_what_it_canonicalizes() -> None:
    everything = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x11000))))

    assert len(canonicalize(everything)) == len(everything)


def test_writes_a_final_sigma_in_lower_case_as_such() -> None:
    assert to_lower_case("ΟΔΟΣ") == "οδος"
