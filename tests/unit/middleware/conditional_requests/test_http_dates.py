from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.middleware.conditional_requests.http_dates import parse_http_date

NEWS = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


# The examples of RFC 9110, section 5.6.7.
@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (b"Sun, 06 Nov 1994 08:49:37 GMT", NEWS),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", NEWS),
        (b"Sun Nov  6 08:49:37 1994", NEWS),
        (b"Sun Nov 16 08:49:37 1994", NEWS.replace(day=16)),
        (b"Friday, 01-Jan-10 00:00:00 GMT", datetime(2010, 1, 1, tzinfo=UTC)),
    ],
)
def test_reads_all_three_forms(value: bytes, moment: datetime) -> None:
    assert parse_http_date(value) == moment


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"1994-11-06T08:49:37Z",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 +0100",
        b"Sun, 06 Nov 1994 08:49:37 gmt",
        b"Sun, 6 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 25:49:37 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nix 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        b"\xff" * 10,
    ],
)
def test_a_date_in_another_form_is_none(value: bytes) -> None:
    assert parse_http_date(value) is None


@given(st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- hypothesis adds it
def test_reads_what_servers_write(moment: datetime) -> None:
    written = format_datetime(moment, usegmt=True).encode()

    assert parse_http_date(written) == moment.replace(microsecond=0)


@given(st.binary(max_size=60))
def test_any_header_is_a_date_or_none(value: bytes) -> None:
    assert parse_http_date(value) is None
