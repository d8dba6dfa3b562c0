"""A WebSocket on its way through the error boundary: how it is refused, and how it ends."""

from typing import Any

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.errors import ForbiddenError
from fastapi_baseline.middleware.refusal import refuse

# RFC 6455, section 7.4.1.
_POLICY_VIOLATION = 1008
_INTERNAL_ERROR = 1011
_SERVER_ERROR = 500
_RESPONSE = "websocket.http.response."


class Conversation:
    """Watches what passes by, and gives a handshake that is refused a response of its own.

    A server answers a WebSocket that is closed before it was accepted with a bare 403. Where the
    server can send a response instead (the ASGI extension `websocket.http.response`), it gets one
    with the headers of all layers, and with a problem that says why.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Watch one WebSocket."""
        extensions: dict[str, Any] = scope.get("extensions") or {}
        self._scope = scope
        self._receive = receive
        self._send = send
        self._can_respond = "websocket.http.response" in extensions
        self._is_accepted = False
        self._is_over = False

    async def receive(self) -> Message:
        """Return what the client says."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_over = True
        return message

    async def send(self, message: Message) -> None:
        """Pass on what the application says, as far as it may be said now.

        The framework sends what a handler of exceptions returns as the response to the handshake,
        also if there can be none, or the conversation has begun.
        """
        kind = message["type"]
        if kind == "websocket.accept":
            self._is_accepted = True
        elif kind == "websocket.close":
            if not self._is_accepted and self._can_respond:
                await self._refuse()
                return
            self._is_over = True
        elif kind.startswith(_RESPONSE):
            if self._is_accepted or not self._can_respond:
                await self._close(message.get("status"))
                return
            self._is_over = True
        await self._send(message)

    async def fail(self, response: Response) -> None:
        """End it because of an error, of which the response tells if there still can be one."""
        if not self._is_over:
            await response(self._scope, self._receive, self.send)

    async def _refuse(self) -> None:
        self._is_over = True
        refusal = ForbiddenError("The connection was refused.")
        await refuse(refusal, scope=self._scope, receive=self._receive, send=self._send)

    async def _close(self, status: int | None) -> None:
        """Close in place of a response; its body has no status, and comes too late."""
        if self._is_over or status is None:
            return
        self._is_over = True
        code = _INTERNAL_ERROR if status >= _SERVER_ERROR else _POLICY_VIOLATION
        await self._send({"type": "websocket.close", "code": code, "reason": ""})
