import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.middleware.compression.negotiation import negotiate, parse_weights

ALL = ("zstd", "br", "gzip")


def _coding(*values: str, offered: tuple[str, ...] = ALL) -> str | None:
    return negotiate([value.encode("latin-1") for value in values], offered).coding


@pytest.mark.parametrize(
    ("value", "coding"),
    [
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("deflate", None),
        ("compress, gzip", "gzip"),
        ("gzip;q=1.0, br;q=0.9", "gzip"),
        ("gzip;q=0.9, br;q=0.901", "br"),
        ("gzip;q=0.001", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0.0", None),
        ("gzip;q=0.000", None),
        ("gzip ; q=0.5", "gzip"),
        ("gzip;\tQ=0.5", "gzip"),
        ("gzip;q=0, br", "br"),
        ("gzip;q=0, gzip", None),
        ("gzip, gzip;q=0", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("*;q=0.5, gzip;q=0", "zstd"),
        ("*, br", "br"),
        ("*, deflate", "gzip"),
        ("*, br;q=0.9", "gzip"),
        ("gzip;q=0.5, *;q=0.1", "gzip"),
        ("gzip, *;q=0", "gzip"),
        ("gzip;q=0, *", "zstd"),
        ("identity", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("identity;q=0.5, gzip", "gzip"),
        ("identity;q=0", None),
        ("identity;q=0, gzip;q=0.1", "gzip"),
        ("", None),
        (" , ,", None),
        (",gzip,,", "gzip"),
    ],
)
def test_takes_what_the_client_likes_best(value: str, coding: str | None) -> None:
    assert _coding(value) == coding


@pytest.mark.parametrize(
    "value",
    [
        "gzip;q=",
        "gzip;q",
        "gzip;",
        "gzip;q=2",
        "gzip;q=1.001",
        "gzip;q=0.1234",
        "gzip;q=.5",
        "gzip;q=-1",
        "gzip;q=nan",
        "gzip;q=1e0",
        "gzip;level=3",
        "gzip;q=0.5;x=1",
        "gzip q=0.5",
        "gzip br",
        '"gzip"',
        "gzip, \x00",
        "gz\xefp, gzip",
        "gzip, br;q=one",
        "gzip\u0130".encode().decode("latin-1"),
    ],
)
def test_sends_the_body_as_it_is_if_the_header_is_malformed(value: str) -> None:
    assert parse_weights(value.encode("latin-1")) is None
    assert _coding(value) is None


def test_sends_the_body_as_it_is_if_there_is_no_header() -> None:
    negotiated = negotiate([], ALL)

    assert negotiated.coding is None
    assert negotiated.acceptable == set(ALL)


def test_reads_several_headers_as_one_list() -> None:
    assert _coding("gzip;q=0.5", "br;q=0.6") == "br"


def test_prefers_what_is_offered_first() -> None:
    assert _coding("gzip, br, zstd", offered=("gzip", "br", "zstd")) == "gzip"
    assert _coding("*", offered=("br",)) == "br"


def test_takes_only_what_is_offered() -> None:
    assert _coding("zstd, br;q=0.5", offered=("br",)) == "br"
    assert _coding("zstd", offered=("br",)) is None
    assert _coding("zstd", offered=()) is None


def test_a_body_as_it_is_that_is_liked_by_asterisk_wins_over_a_coding_that_is_liked_less() -> None:
    assert _coding("gzip;q=0.5, *;q=1", offered=("gzip",)) is None


@pytest.mark.parametrize(
    ("value", "needed"),
    [
        ("gzip", False),
        ("gzip, identity;q=0", True),
        ("gzip, *;q=0", True),
        ("gzip, identity;q=0.1, *;q=0", False),
        ("identity;q=0", False),
        ("*;q=0", False),
    ],
)
def test_knows_when_a_body_as_it_is_was_refused(value: str, needed: bool) -> None:
    assert negotiate([value.encode()], ALL).needs_coding is needed


def test_knows_all_that_the_client_can_read() -> None:
    negotiated = negotiate([b"gzip, br;q=0.1, zstd;q=0"], ALL)

    assert negotiated.acceptable == {"gzip", "br"}


def test_reads_a_header_that_is_very_long() -> None:
    value = ", ".join([f"coding-{number};q=0.1" for number in range(5_000)] + ["gzip"])

    assert _coding(value) == "gzip"


QUALITIES = st.sampled_from(["", ";q=0", ";q=1", ";q=0.5", " ; q=0.25", ";q=0.999", ";q=1.000"])
NAMES = st.sampled_from(["gzip", "br", "zstd", "deflate", "identity", "*", "x-gzip", "GZip"])
WELL_FORMED = st.lists(st.builds("".join, st.tuples(NAMES, QUALITIES))).map(",".join)


@given(WELL_FORMED)
def test_never_takes_what_was_refused(value: str) -> None:
    weights = parse_weights(value.encode())

    coding = _coding(value)

    assert weights is not None
    assert coding is None or weights.get(coding, weights.get("*", 0)) > 0


@given(st.lists(st.binary(max_size=40), max_size=3), st.sampled_from([ALL, ("gzip",), ()]))
def test_any_header_is_read_or_means_the_body_as_it_is(
    values: list[bytes], offered: tuple[str, ...]
) -> None:
    negotiated = negotiate(values, offered)

    assert negotiated.coding is None or negotiated.coding in negotiated.acceptable
    if parse_weights(b",".join(values)) is None:
        assert negotiated.coding is None
