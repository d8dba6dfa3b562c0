"""A response on its way out, which is kept if it may be."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.types import Message, Scope, Send

from fastapi_baseline.caching.entries import Entry, Header
from fastapi_baseline.caching.making import Made, find_terms_of, make_entry
from fastapi_baseline.caching.outcomes import note_outcome
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.response_headers import CONTENT_LENGTH, forward_status
from fastapi_baseline.caching.site import Site
from fastapi_baseline.caching.storability import Terms
from fastapi_baseline.caching.stored_response import hit_response, is_known, not_modified
from fastapi_baseline.caching.variants import offer_variants

_START = "http.response.start"
_BODY = "http.response.body"
# These come beside the response; any other kind of message is about its body.
_BESIDE = frozenset({"http.response.debug", "http.response.early_hint", "http.response.push"})
# With these, something that is not quite fresh is better (RFC 5861, section 4).
_FAILURES = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


class Capture:
    """One response; its head waits until it is known whether the body is all there."""

    def __init__(self, site: Site, scope: Scope, send: Send, *, plan: Plan) -> None:
        """Pass on to `send`, and do what `plan` says."""
        self._site = site
        self._scope = scope
        self._send = send
        self.plan = plan
        self.entry: Entry | None = None
        """What was made of the response, once it is complete."""
        self.is_started = False
        """Whether a client has got something."""
        self._head: Message | None = None
        self._headers: list[Header] = []
        self._terms = Terms()
        self._body = bytearray()
        self._length: int | None = None
        self._is_over = False

    async def send(self, message: Message) -> None:
        """Take one message of the application."""
        kind = message["type"]
        if self._is_over:
            return
        if kind == _START:
            await self._start(message)
        elif self._head is None or kind in _BESIDE:
            await self._send(message)
        elif kind == _BODY:
            await self._collect(self._head, message)
        else:
            # The server takes the body from elsewhere, so it never comes by here.
            await self._pass(self._head)
            await self._send(message)

    def end(self) -> None:
        """Let those go who wait for a response that did not come, or is not kept."""
        if self.plan.flight is not None:
            self.plan.flight.abandon()

    async def fall_back(self) -> bool:
        """Give what is there instead of what cannot be made, and return whether that was possible."""
        fallback = self.plan.fallback
        if fallback is None or self.is_started:
            return False
        self._is_over = self.is_started = True
        self.end()
        note_outcome("fallback")
        site, key = self._site, self.plan.key
        response = hit_response(fallback, site=site, key=key, scope=self._scope, now=site.now())
        await response(self._scope, _nothing_more, self._send)
        return True

    async def _start(self, message: Message) -> None:
        status = message["status"]
        if status in _FAILURES and await self.fall_back():
            return
        headers = [(name.lower(), value) for name, value in message.get("headers", ())]
        terms = find_terms_of(self.plan, status, headers, credentials=self._site.credentials)
        self._length = _length_of(headers)
        is_long = (self._length or 0) > self._site.cache.settings.max_entry_size
        if terms is None or is_long or message.get("trailers"):
            await self._pass(message)
        else:
            self._head, self._headers, self._terms = message, headers, terms

    async def _collect(self, head: Message, message: Message) -> None:
        part = message.get("body", b"")
        has_more = message.get("more_body", False)
        if not has_more and not self._body:
            await self._complete(head, bytes(part))
            return
        if self._length is None or len(self._body) + len(part) > self._length:
            # Nobody knows when a stream ends, and a client waits for each part of it.
            await self._pass(head)
            await self._send(message)
            return
        self._body += part
        if not has_more:
            await self._complete(head, bytes(self._body))

    async def _pass(self, head: Message) -> None:
        """Send what is not kept, and what there is of it."""
        self.end()
        self._head = None
        self.is_started = True
        await self._send(_passed(head, self._site, self.plan))
        if self._body:
            body, self._body = bytes(self._body), bytearray()
            await self._send({"type": _BODY, "body": body, "more_body": True})

    async def _complete(self, head: Message, body: bytes) -> None:
        site, plan = self._site, self.plan
        entry, headers = None, list[Header]()
        if self._length is None or self._length == len(body):
            made = Made(head["status"], self._headers, body)
            entry, headers = make_entry(site, plan, made, terms=self._terms)
        if entry is None or entry.size > site.cache.settings.max_entry_size:
            self._body = bytearray()
            await self._pass(head)
            await self._send({"type": _BODY, "body": body})
            return
        self._head, self.entry = None, entry
        if plan.flight is None:
            return
        await plan.flight.complete(entry)
        if plan.shortcut is not None:
            site.shortcuts.note(plan.shortcut, plan.key, scope=self._scope, policy=plan.policy)
        headers.append(forward_status(plan.reason, "stored", key=site.shown(plan.key)))
        self.is_started = True
        head = {**head, "headers": headers}
        await _send_whole(site, self._scope, self._send, head=head, entry=entry, key=plan.key)


async def _send_whole(
    site: Site, scope: Scope, send: Send, *, head: Message, entry: Entry, key: str
) -> None:
    """Send a response that was made now, unless its client has it already."""
    if site.answers_conditions and is_known(scope, head["headers"]):
        await not_modified(entry)(scope, _nothing_more, send)
        return
    offer_variants(site.cache, key, entry, scope=scope)
    await send(head)
    await send({"type": _BODY, "body": entry.body})


def _passed(head: Message, site: Site, plan: Plan) -> Message:
    status = forward_status(plan.reason, key=site.shown(plan.key))
    return {**head, "headers": [*head.get("headers", ()), status]}


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _length_of(headers: Sequence[Header]) -> int | None:
    value = next((value for name, value in headers if name == CONTENT_LENGTH), b"")
    return int(value) if value.isdigit() else None
