"""A response that is given again."""

from collections.abc import Sequence

from starlette.background import BackgroundTask
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from fastapi_baseline.caching.entries import Entry, Header
from fastapi_baseline.caching.response_headers import ETAG, age_of, hit_status
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.variants import offer_variants
from fastapi_baseline.entity_tags import EntityTag, EntityTags, InvalidEntityTagError

IF_NONE_MATCH = b"if-none-match"
# These come first, and are for whoever knows what they mean (RFC 9110, section 13.2.2).
_OTHER_CONDITIONS = frozenset({b"if-match", b"if-unmodified-since"})
_NOT_MODIFIED = 304
_OF_THE_BODY = frozenset(
    {
        b"accept-ranges",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-type",
        b"last-modified",
    }
)


class StoredResponse(Response):
    """The response that an entry was made from, as bytes: nothing is made of values again."""

    def __init__(self, entry: Entry, *, added: Sequence[Header] = ()) -> None:
        """Give the entry with some headers more."""
        self.status_code = entry.status
        self.body = entry.body
        self.background: BackgroundTask | None = None
        self.raw_headers = [*entry.headers, *added]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- what a response takes
        """Send it; the response to HEAD has no body."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        body = b"" if scope["method"] == "HEAD" else self.body
        await send({"type": "http.response.body", "body": body})
        if self.background is not None:
            await self.background()


def hit_response(entry: Entry, *, site: Site, key: str, scope: Scope, now: float) -> StoredResponse:
    """Return the response to a request that comes at this moment, for which there is an entry."""
    added = (age_of(entry, now=now), hit_status(entry, now=now, key=site.shown(key)))
    if site.answers_conditions and is_known(scope, entry.headers):
        return not_modified(entry, added=added)
    offer_variants(site.cache, key, entry, scope=scope)
    return StoredResponse(entry, added=added)


def is_known(scope: Scope, headers: Sequence[Header]) -> bool:
    """Return whether the client says that it has a response with these headers already."""
    asked: list[bytes] = []
    for name, value in scope["headers"]:
        if name == IF_NONE_MATCH:
            asked.append(value)
        elif name in _OTHER_CONDITIONS:
            return False
    if not asked:
        return False
    try:
        tags = EntityTags.parse(b", ".join(asked).decode("latin-1"))
        tag = next(
            (EntityTag.parse(v.decode("latin-1")) for name, v in headers if name == ETAG), None
        )
    except InvalidEntityTagError:
        return False
    return tags.has_weak(tag)


def not_modified(entry: Entry, *, added: Sequence[Header] = ()) -> StoredResponse:
    """Return what is answered if the client has the response already (RFC 9110, section 15.4.5)."""
    response = StoredResponse(entry, added=added)
    response.status_code = _NOT_MODIFIED
    response.body = b""
    response.raw_headers = [pair for pair in response.raw_headers if pair[0] not in _OF_THE_BODY]
    return response
