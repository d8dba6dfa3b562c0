"""Regular expressions as patterns of LIKE."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patients.domains.patients.patterns import (
    UnsupportedPatternError,
    like_containing,
    like_matching,
)


@pytest.mark.parametrize(
    ("expression", "pattern"),
    [
        ("ada", "%ADA%"),
        ("^ada", "ADA%"),
        ("ada$", "%ADA"),
        ("^ada$", "ADA"),
        ("^a.*b$", "A%B"),
        ("", "%%"),
        ("^$", ""),
        (".*", "%%%"),
        ("100%", r"%100\%%"),
        ("a_b", r"%A\_B%"),
        (r"\\", r"%\\%"),
        (r"3\.14", "%3.14%"),
        (r"\$5", "%$5%"),
        (r"5\$", "%5$%"),
        (r"5\\$", r"%5\\"),
        (r"a\-b", "%A-B%"),
        ("straße", "%STRAßE%"),
    ],
)
def test_translates_what_it_takes(expression: str, pattern: str) -> None:
    assert like_matching(expression) == pattern


@pytest.mark.parametrize(
    "expression",
    [
        "a.b",
        "a+",
        "a*",
        "a?",
        "(a)",
        "[a]",
        "a{2}",
        "a|b",
        "a^b",
        "a$b",
        "^^a",
        r"\d",
        "a\\",
        ".*?",
    ],
)
def test_refuses_all_other_syntax(expression: str) -> None:
    with pytest.raises(UnsupportedPatternError, match="takes literal text"):
        like_matching(expression)


def test_keeps_the_case_and_escapes_the_wildcards_of_a_plain_text() -> None:
    assert like_containing("a%B_c\\") == r"%a\%B\_c\\%"


@given(
    st.text(alphabet="aB%_\\.*$^", max_size=8),
    st.text(alphabet="aAbB%_\\.*$^", max_size=8),
)
def test_matches_what_the_regular_expression_matches(expression: str, text: str) -> None:
    try:
        pattern = like_matching(expression)
    except UnsupportedPatternError:
        return

    # Python's `$` also matches before a newline at the end, which these texts do not have.
    assert _is_like(text.upper(), pattern) == bool(re.search(expression, text, re.IGNORECASE))


def _is_like(text: str, pattern: str) -> bool:
    """Return what `text LIKE pattern ESCAPE '\\'` is."""
    parts: list[tuple[str, str, str]] = re.findall(r"\\(.)|([%_])|(.)", pattern, re.DOTALL)
    wildcards = {"%": ".*", "_": "."}
    expression = "".join(
        wildcards.get(wild) or re.escape(kept or plain) for kept, wild, plain in parts
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None
