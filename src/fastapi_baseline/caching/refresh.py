"""The making of a response anew, while nobody waits for it."""

import asyncio

from starlette.types import Message

from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.exchange import Exchange, Origin, current_exchange
from fastapi_baseline.caching.site import Site
from fastapi_baseline.context import RequestContext, request_context


async def make_again(site: Site, origin: Origin, *, key: str) -> Entry | None:
    """Make a request again as its client would, and return what came of it if it may be kept.

    It has the headers of the request that found the entry stale, and with them its credentials, and
    comes by the same dependencies: whoever may not ask any more refreshes nothing. It has a context
    of its own, in which nobody is signed in yet.
    """
    exchange = Exchange(site, dict(origin.scope), _ignore, is_refresh=True)
    request = RequestContext(
        request_id=origin.request_id, tenant=origin.tenant, principal=origin.principal
    )
    in_context = request_context.set(request)
    in_exchange = current_exchange.set(exchange)
    try:
        await site.app(exchange.scope, _Receiver().receive, exchange.send)
    finally:
        current_exchange.reset(in_exchange)
        request_context.reset(in_context)
    capture = exchange.capture
    # Another key: it is not for those any more who were given the stale one.
    return None if capture is None or capture.plan.key != key else capture.entry


class _Receiver:
    """A client that has sent all, and stays until it has the response."""

    def __init__(self) -> None:
        self._has_sent = False

    async def receive(self) -> Message:
        if self._has_sent:
            await asyncio.Event().wait()
        self._has_sent = True
        return {"type": "http.request", "body": b"", "more_body": False}


async def _ignore(message: Message) -> None:
    pass
