"""Moments in headers (RFC 9110, section 5.6.7)."""

import re
from datetime import UTC, datetime

_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".encode("ascii").split()
_MONTH = rb"(?P<month>[A-Z][a-z]{2})"
_TIME = rb"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = tuple(
    re.compile(form % (_MONTH, _TIME))
    for form in (
        rb"[A-Z][a-z]{2}, (?P<day>[0-9]{2}) %b (?P<year>[0-9]{4}) %b GMT",
        rb"[A-Z][a-z]{5,8}, (?P<day>[0-9]{2})-%b-(?P<year>[0-9]{2}) %b GMT",
        rb"[A-Z][a-z]{2} %b (?P<day>[ 0-9][0-9]) %b (?P<year>[0-9]{4})",
    )
)
# A year of two digits is of the time when years were written so.
_SHORT = 2
_FIRST_SHORT = 70


def parse_http_date(value: bytes) -> datetime | None:
    """Return the moment that a header names, in any of the three forms that must be understood.

    `None` is anything else, which is to be ignored.
    """
    match = next((match for form in _FORMS if (match := form.fullmatch(value))), None)
    if match is None:
        return None
    year = int(match["year"])
    if len(match["year"]) == _SHORT:
        year += 1900 if year >= _FIRST_SHORT else 2000
    day, hour, minute, second = (int(match[part]) for part in ("day", "hour", "minute", "second"))
    try:
        month = _MONTHS.index(match["month"]) + 1
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
