"""What a request says of the response that it wants, and whether one is that."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus

from fastapi_baseline.entity_tags import EntityTag, EntityTags, InvalidEntityTagError
from fastapi_baseline.middleware.conditional_requests.http_dates import parse_http_date

RawHeader = tuple[bytes, bytes]

_IF_MATCH = b"if-match"
_IF_NONE_MATCH = b"if-none-match"
_IF_MODIFIED_SINCE = b"if-modified-since"
_IF_UNMODIFIED_SINCE = b"if-unmodified-since"
_NAMES = frozenset({_IF_MATCH, _IF_NONE_MATCH, _IF_MODIFIED_SINCE, _IF_UNMODIFIED_SINCE})


def find_preconditions(headers: Iterable[RawHeader]) -> dict[bytes, bytes]:
    """Return the preconditions of a request; one that comes in several headers is one list."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in _NAMES:
            found[name] = b"%b, %b" % (found[name], value) if name in found else value
    return found


def evaluate(preconditions: Mapping[bytes, bytes], headers: Iterable[RawHeader]) -> HTTPStatus:
    """Return the status of a response to GET or HEAD that has these headers: 200, 304 or 412.

    The order is that of RFC 9110, section 13.2.2. A list of tags that is not written as it should
    be names none of them, and such a date is no condition.
    """
    tag = modified = None
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"etag":
            tag = _find_tag(value)
        elif lowered == b"last-modified":
            modified = parse_http_date(value)
    if _is_refused(preconditions, tag, modified):
        return HTTPStatus.PRECONDITION_FAILED
    if _is_known(preconditions, tag, modified):
        return HTTPStatus.NOT_MODIFIED
    return HTTPStatus.OK


def _is_refused(
    preconditions: Mapping[bytes, bytes], tag: EntityTag | None, modified: datetime | None
) -> bool:
    wanted = preconditions.get(_IF_MATCH)
    if wanted is not None:
        return not _find_tags(wanted).has_strong(tag)
    seen = parse_http_date(preconditions.get(_IF_UNMODIFIED_SINCE, b""))
    return seen is not None and modified is not None and modified > seen


def _is_known(
    preconditions: Mapping[bytes, bytes], tag: EntityTag | None, modified: datetime | None
) -> bool:
    known = preconditions.get(_IF_NONE_MATCH)
    if known is not None:
        return _find_tags(known).has_weak(tag)
    seen = parse_http_date(preconditions.get(_IF_MODIFIED_SINCE, b""))
    return seen is not None and modified is not None and modified <= seen


def _find_tag(value: bytes) -> EntityTag | None:
    try:
        return EntityTag.parse(value.decode("latin-1"))
    except InvalidEntityTagError:
        return None


def _find_tags(value: bytes) -> EntityTags:
    try:
        return EntityTags.parse(value.decode("latin-1"))
    except InvalidEntityTagError:
        return EntityTags(())
