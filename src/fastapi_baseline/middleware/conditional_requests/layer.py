"""The layer that compares what a client has with what a handler returns."""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.errors import PreconditionFailedError
from fastapi_baseline.middleware.conditional_requests.preconditions import (
    RawHeader,
    evaluate,
    find_preconditions,
)
from fastapi_baseline.middleware.exception_handlers import respond_to_error

_METHODS = frozenset({"GET", "HEAD"})
# Preconditions come before ranges (section 13.2.2), so a part is answered like the whole.
_STATUSES = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})
# What describes a body that is not sent (section 15.4.5).
_OF_THE_BODY = frozenset(
    {
        b"accept-ranges",
        b"content-digest",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-md5",
        b"content-range",
        b"content-type",
        b"digest",
        b"repr-digest",
        b"trailer",
        b"transfer-encoding",
    }
)
# These come beside the response; any other kind of message is about its body.
_BESIDE = frozenset({"http.response.debug", "http.response.early_hint", "http.response.push"})
_NO_STORE = re.compile(rb"(?:^|[,\s])no-store(?:$|[,\s])", re.IGNORECASE)
# To hash so many bytes takes longer than to answer a small request.
_THREAD_SIZE = 1024 * 1024


class ConditionalRequestsMiddleware:
    """Answer 304 to GET and HEAD for what the client has, and 412 if it wants something else.

    A handler says what it returns with `ETag` or `Last-Modified`. Only responses that would succeed
    are looked at. Other methods pass through untouched: their preconditions must be checked before
    they change something, in the transaction that does it.

    After the 304 of a stream the server tells the handler that nobody listens any more, so it need
    not be read to its end.
    """

    def __init__(self, app: ASGIApp, *, make_etags: bool = False) -> None:
        """Wrap `app`; `make_etags` gives responses to GET that have no tag one of their bytes.

        It does so for bodies that are in memory as a whole, and may be stored.
        """
        self._app = app
        self._make_etags = make_etags

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] not in _METHODS:
            await self._app(scope, receive, send)
            return

        preconditions = find_preconditions(scope["headers"])
        makes_tag = self._make_etags and scope["method"] == "GET"
        if preconditions or makes_tag:
            response = _Response(scope, send, preconditions=preconditions, makes_tag=makes_tag)
            send = response.send
        await self._app(scope, receive, send)


class _Response:
    """One response on its way out; its head waits for the body if a tag is made of that."""

    __slots__ = ("_answered", "_head", "_makes_tag", "_preconditions", "_scope", "_send")

    def __init__(
        self, scope: Scope, send: Send, *, preconditions: Mapping[bytes, bytes], makes_tag: bool
    ) -> None:
        self._scope = scope
        self._send = send
        self._preconditions = preconditions
        self._makes_tag = makes_tag
        self._head: Message | None = None
        self._answered = False

    async def send(self, message: Message) -> None:
        """Pass on one message of the application, unless the client needs no more of them."""
        kind = message["type"]
        if self._answered:
            return
        if kind == "http.response.start":
            await self._start(message)
        elif self._head is None or kind in _BESIDE:
            await self._send(message)
        else:
            head, self._head = self._head, None
            if kind == "http.response.body" and not message.get("more_body", False):
                head = await _tagged(head, message.get("body", b""))
            await self._decide(head)
            await self.send(message)

    async def _start(self, message: Message) -> None:
        if message["status"] not in _STATUSES:
            await self._send(message)
        elif self._makes_tag and _may_be_tagged(message):
            self._head = message
        else:
            await self._decide(message)

    async def _decide(self, head: Message) -> None:
        """Send what the preconditions say: the head as it is, a 304 or a 412."""
        status = evaluate(self._preconditions, head.get("headers", ()))
        if status is HTTPStatus.OK:
            await self._send(head)
            return
        self._answered = True
        if status is HTTPStatus.NOT_MODIFIED:
            headers = _without_body(head.get("headers", ()))
            await self._send(
                {"type": "http.response.start", "status": status.value, "headers": headers}
            )
            await self._send({"type": "http.response.body", "body": b""})
        else:
            response = await respond_to_error(Request(self._scope), PreconditionFailedError())
            await response(self._scope, _nothing_more, self._send)


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _may_be_tagged(head: Message) -> bool:
    if head["status"] != HTTPStatus.OK:
        return False
    for name, value in head.get("headers", ()):
        lowered = name.lower()
        if lowered == b"etag" or (lowered == b"cache-control" and _NO_STORE.search(value)):
            return False
    return True


async def _tagged(head: Message, body: bytes) -> Message:
    """Return the head of a response with a tag of its bytes."""
    if len(body) >= _THREAD_SIZE:
        digest = await asyncio.to_thread(_digest, body)
    else:
        digest = _digest(body)
    return {**head, "headers": [*head.get("headers", ()), (b"etag", b'"%b"' % digest)]}


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).hexdigest().encode("ascii")


def _without_body(headers: Iterable[RawHeader]) -> list[RawHeader]:
    """Return the headers of a 304; next to an entity tag, a date says nothing more."""
    kept = [pair for pair in headers if pair[0].lower() not in _OF_THE_BODY]
    if any(name.lower() == b"etag" for name, _ in kept):
        kept = [pair for pair in kept if pair[0].lower() != b"last-modified"]
    return kept
