"""Two log lines for each WebSocket: when it is opened or refused, and when it is closed."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_baseline.middleware.access_lines import LONGEST_PATH, add_context, ms, write
from fastapi_baseline.middleware.route_templates import route_of

# RFC 6455, section 7.4.1.
_NORMAL = 1000
_ABNORMAL = 1006
_UNEXPECTED = 1011


async def log_conversation(
    app: ASGIApp, scope: Scope, *, receive: Receive, send: Send, now: Callable[[], float]
) -> None:
    """Hold one conversation; `now` gives seconds, for its duration.

    The last line has the code with which the connection was closed, by whichever side was first,
    and the number of messages. It is a WARNING if the application has failed (1011, or
    a status of 500 or above).
    """
    conversation = _Conversation(scope, receive=receive, send=send, now=now)
    try:
        await app(scope, conversation.receive, conversation.send)
    except Exception:
        if conversation.code is None:
            conversation.code = _UNEXPECTED
        raise
    finally:
        conversation.note("closed" if conversation.is_open else "refused")


class _Conversation:
    """One WebSocket as it passes by: what has been seen of it so far."""

    def __init__(
        self, scope: Scope, *, receive: Receive, send: Send, now: Callable[[], float]
    ) -> None:
        self._scope = scope
        self._path = scope["path"][:LONGEST_PATH]
        self._receive = receive
        self._send = send
        self._now = now
        self._began = now()
        # What the server answers to a handshake that is left open.
        self._status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        self._received = 0
        self._sent = 0
        self.code: int | None = None
        self.is_open = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._received += 1
        elif message["type"] == "websocket.disconnect" and self.code is None:
            self.code = message.get("code", _ABNORMAL)
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            self._sent += 1
        elif kind == "websocket.accept":
            self.is_open = True
            self.note("opened")
        elif kind == "websocket.close" and self.code is None:
            self.code = message.get("code", _NORMAL)
            # If it was not open yet, the server makes this of it.
            self._status = HTTPStatus.FORBIDDEN
        elif kind == "websocket.http.response.start":
            self._status = message["status"]
        await self._send(message)

    def note(self, event: str) -> None:
        client = self._scope.get("client")
        fields: dict[str, Any] = {
            "event": event,
            "path": self._path,
            "route": route_of(self._scope),
            "client": client[0] if client else None,
        }
        if event == "refused":
            fields["status"] = self._status
        elif event == "closed":
            fields["code"] = self.code
            fields["duration_ms"] = ms(self._now() - self._began)
            fields["received_messages"] = self._received
            fields["sent_messages"] = self._sent
        add_context(fields)
        is_bad = self.code == _UNEXPECTED or (
            event == "refused" and self._status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )
        level = logging.WARNING if is_bad else logging.INFO
        write(level, f"WS {self._path} {event}", fields)
