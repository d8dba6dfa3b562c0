"""The layer that compresses, and what it does with one response."""

import asyncio
from collections.abc import Collection, Mapping
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.middleware.compression.eligibility import may_be_encoded, may_have_coding
from fastapi_baseline.middleware.compression.encoders import Coding, Encoder, find_codings
from fastapi_baseline.middleware.compression.negotiation import Negotiated, negotiate
from fastapi_baseline.middleware.compression.variants import (
    ENCODED_BODIES,
    IF_MATCH,
    IF_NONE_MATCH,
    EncodedBodies,
    tag_of_coding,
    tag_that_matched,
    take_endings_off,
)
from fastapi_baseline.settings import CompressionSettings

RawHeaders = list[tuple[bytes, bytes]]

_NOT_MODIFIED = 304
_VARY = b"vary"
_ACCEPT_ENCODING = b"accept-encoding"
# Parts of an encoded body cannot be asked for, and its length is another one.
_ONLY_OF_PLAIN = frozenset({b"content-length", b"accept-ranges"})
# These come before the response, or beside it; any other kind of message is about its body.
_BESIDE = frozenset({"http.response.debug", "http.response.early_hint", "http.response.push"})


class CompressionMiddleware:
    """Send bodies in the encoding that the client likes best (RFC 9110, section 12.5.3).

    A body that is streamed stays a stream: what a handler sends can be read when it was sent.
    Bodies that would hardly get smaller, parts, event streams, and what the handler has encoded or
    forbids to transform, stay as they are. A client that refuses every encoding that there is gets
    the body as it is.

    Strong entity tags get an ending for the encoding, which is taken off again when a client asks
    with them, so that preconditions work with what it was sent.
    """

    def __init__(
        self, app: ASGIApp, *, settings: CompressionSettings, exempt_paths: Collection[str] = ()
    ) -> None:
        """Wrap `app`; responses of `exempt_paths` are passed through.

        Raises:
            ConfigurationError: If the settings name an encoding that does not exist.
        """
        self._app = app
        self._exempt_paths = frozenset(exempt_paths)
        codings = {coding.name: coding for coding in find_codings(settings.encodings)}
        self._offered = tuple(codings)
        self._rules = _Rules(codings, settings.minimum_size, settings.thread_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in self._exempt_paths:
            await self._app(scope, receive, send)
            return

        accepted: list[bytes] = []
        asked: list[bytes] = []
        has_condition = False
        for name, value in scope["headers"]:
            if name == _ACCEPT_ENCODING:
                accepted.append(value)
            elif name == IF_NONE_MATCH:
                asked.append(value)
            elif name == IF_MATCH:
                has_condition = True
        negotiated = negotiate(accepted, self._offered)
        if asked or has_condition:
            # In place, since layers outside read what routing adds to this scope.
            scope["headers"] = take_endings_off(scope["headers"], acceptable=negotiated.acceptable)
        response = _Response(scope, send, rules=self._rules, negotiated=negotiated, asked=asked)
        await self._app(scope, receive, response.send)


class _Rules(NamedTuple):
    codings: Mapping[str, Coding]
    minimum_size: int
    thread_size: int


class _Response:
    """One response on its way out. Its head is held back until it is known what the body is."""

    __slots__ = (
        "_asked",
        "_coding",
        "_encoder",
        "_head",
        "_negotiated",
        "_rules",
        "_scope",
        "_send",
    )

    def __init__(
        self,
        scope: Scope,
        send: Send,
        *,
        rules: _Rules,
        negotiated: Negotiated,
        asked: list[bytes],
    ) -> None:
        self._scope = scope
        self._send = send
        self._rules = rules
        self._negotiated = negotiated
        self._asked = asked
        self._coding = rules.codings[negotiated.coding] if negotiated.coding else None
        self._encoder: Encoder | None = None
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        """Pass on one message of the application."""
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif kind == "http.response.body" and self._encoder is not None:
            await self._go_on(self._encoder, message)
        elif self._head is None or kind in _BESIDE:
            await self._send(message)
        elif kind == "http.response.body" and self._coding is not None:
            head, self._head = self._head, None
            await self._begin(head, message, self._coding)
        else:
            # The server takes the body from elsewhere, so nothing can be done with it here.
            head, self._head = self._head, None
            await self._send(head)
            await self._send(message)

    async def _start(self, message: Message) -> None:
        headers: RawHeaders = list(message.get("headers", ()))
        fields = _by_name(headers)
        _add_vary(headers, fields)
        head = {**message, "headers": headers}
        status = message["status"]
        if status == _NOT_MODIFIED and self._asked:
            self._confirm(headers)
        if self._coding is None or not self._may_encode(fields, status):
            await self._send(head)
        elif self._scope["method"] == "HEAD":
            await self._send(_encoded(head, self._coding))
        else:
            self._head = head

    def _may_encode(self, fields: Mapping[bytes, bytes], status: int) -> bool:
        return may_have_coding(self._scope, status) and may_be_encoded(
            fields, minimum_size=self._minimum_size(), even_dense=self._negotiated.needs_coding
        )

    def _minimum_size(self) -> int:
        return 1 if self._negotiated.needs_coding else self._rules.minimum_size

    async def _begin(self, head: Message, message: Message, coding: Coding) -> None:
        body = message.get("body", b"")
        if message.get("more_body", False):
            self._encoder = coding.start()
            await self._send(_encoded(head, coding))
            await self._go_on(self._encoder, message)
            return
        if len(body) >= self._minimum_size():
            encoded = await self._encode(body, coding)
            if len(encoded) < len(body) or self._negotiated.needs_coding:
                head = _encoded(head, coding, length=len(encoded))
                message = {**message, "body": encoded}
        await self._send(head)
        await self._send(message)

    async def _encode(self, body: bytes, coding: Coding) -> bytes:
        kept: EncodedBodies | None = self._scope.get(ENCODED_BODIES)
        if kept is not None and kept.body is not body:
            # Somebody in between has changed it.
            kept = None
        encoded = None if kept is None else kept.find(coding.name)
        if encoded is not None:
            return encoded
        if len(body) >= self._rules.thread_size:
            encoded = await asyncio.to_thread(coding.encode_whole, body)
        else:
            encoded = coding.encode_whole(body)
        if kept is not None:
            kept.keep(coding.name, encoded)
        return encoded

    async def _go_on(self, encoder: Encoder, message: Message) -> None:
        part = message.get("body", b"")
        more = message.get("more_body", False)
        step = encoder.encode if more else encoder.finish
        if more and not part:
            encoded = b""
        elif len(part) >= self._rules.thread_size:
            encoded = await asyncio.to_thread(step, part)
        else:
            encoded = step(part)
        await self._send({**message, "body": encoded})

    def _confirm(self, headers: RawHeaders) -> None:
        """Give a 304 the tag of what the client may use again."""
        negotiated = self._negotiated
        others = (coding for coding in self._rules.codings if coding in negotiated.acceptable)
        codings = (negotiated.coding, None, *others)
        for index, (name, value) in enumerate(headers):
            if name.lower() == b"etag":
                headers[index] = (name, tag_that_matched(value, self._asked, codings))


def _encoded(head: Message, coding: Coding, *, length: int | None = None) -> Message:
    """Return the head of a response whose body is encoded."""
    headers: RawHeaders = [
        (name, tag_of_coding(value, coding.name) if name.lower() == b"etag" else value)
        for name, value in head["headers"]
        if name.lower() not in _ONLY_OF_PLAIN
    ]
    headers.append((b"content-encoding", coding.name.encode("ascii")))
    if length is not None and not head.get("trailers", False):
        headers.append((b"content-length", str(length).encode("ascii")))
    return {**head, "headers": headers}


def _by_name(headers: RawHeaders) -> Mapping[bytes, bytes]:
    """Return the headers by their names in lower case; values of several are one list."""
    fields = {name.lower(): value for name, value in headers}
    if len(fields) < len(headers):
        fields.clear()
        for name, value in headers:
            before = fields.get(name.lower())
            fields[name.lower()] = value if before is None else b"%b, %b" % (before, value)
    return fields


def _add_vary(headers: RawHeaders, fields: Mapping[bytes, bytes]) -> None:
    """Say that the response depends on what the client takes, if it does not say so already."""
    present = fields.get(_VARY)
    if present is None:
        headers.append((_VARY, b"Accept-Encoding"))
        return
    if {_ACCEPT_ENCODING, b"*"}.isdisjoint(part.strip() for part in present.lower().split(b",")):
        for index, (name, value) in enumerate(headers):
            if name.lower() == _VARY:
                headers[index] = (name, value + b", Accept-Encoding")
                break
