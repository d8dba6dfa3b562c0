"""The layer that remembers responses, and gives them again."""

from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.idempotency.exchange import SCOPE_KEY, Exchange
from fastapi_baseline.idempotency.keys import SAFE_METHODS, has_key
from fastapi_baseline.idempotency.store import Header, IdempotencyStore, StoredResponse
from fastapi_baseline.settings import IdempotencySettings

REPLAYED = (b"idempotency-replayed", b"true")
# What belongs to one connection or moment, and cookies, which are secrets and grow old.
_NOT_KEPT = frozenset(
    {b"connection", b"date", b"keep-alive", b"set-cookie", b"transfer-encoding", b"upgrade"}
)
_BYPASSES = frozenset({"http.response.pathsend", "http.response.zerocopysend"})
_BODILESS = frozenset({204, 304})


class IdempotencyCaptureMiddleware:
    """Remember the responses to requests that an `Idempotent` route has claimed.

    A response is remembered before its last byte is sent, so that whoever has it can rely on it.
    Requests without an `Idempotency-Key` pass through untouched.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        store: IdempotencyStore,
        settings: IdempotencySettings | None = None,
    ) -> None:
        """Wrap `app`, and remember in `store`."""
        self._app = app
        self._store = store
        self._settings = settings or IdempotencySettings()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["method"] in SAFE_METHODS or not has_key(scope):
            await self._app(scope, receive, send)
            return

        exchange = scope[SCOPE_KEY] = Exchange(self._store, self._settings)
        extensions: dict[str, Any] = scope.get("extensions") or {}
        # A file that the server sends by itself would not come by here.
        scope["extensions"] = {
            name: value for name, value in extensions.items() if name not in _BYPASSES
        }
        recording = _Recording(exchange, send)
        try:
            await self._app(scope, exchange.body.wrap(receive), recording.send)
        except Exception:
            # What inner layers make of the signal to replay does not matter.
            if exchange.replay is None:
                raise
        finally:
            await recording.end()
        if exchange.replay is not None:
            await _send_again(exchange.replay, send)


class _Recording:
    """The response to one request, on its way to the client."""

    def __init__(self, exchange: Exchange, send: Send) -> None:
        self._exchange = exchange
        self._send = send
        self._status: int | None = None
        self._headers: list[Header] = []
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if self._exchange.replay is not None:
            return
        if self._exchange.claim is not None:
            await self._record(message)
        await self._send(message)

    async def end(self) -> None:
        """Settle what the application has not finished.

        A response that had begun says that the work was done; nobody can say how it went on.
        """
        await self._exchange.settle(self._status, self._headers, body=None)

    async def _record(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (name.lower(), value)
                for name, value in message.get("headers", ())
                if name.lower() not in _NOT_KEPT
            ]
        elif message["type"] == "http.response.body":
            chunk = message.get("body", b"")
            if len(self._body) + len(chunk) > self._exchange.settings.max_response_size:
                # Said at once, since the rest may take longer than the claim lasts.
                self._body.clear()
                await self._exchange.settle(self._status, self._headers, body=None)
                return
            self._body += chunk
            if not message.get("more_body", False):
                await self._exchange.settle(self._status, self._headers, body=bytes(self._body))


async def _send_again(response: StoredResponse, send: Send) -> None:
    headers = [*response.headers, REPLAYED]
    body = response.body or b""
    has_length = any(name == b"content-length" for name, _ in headers)
    if not has_length and response.status not in _BODILESS:
        headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
