import gzip

from starlette.types import Message, Receive, Scope, Send

from fastapi_baseline.middleware import CompressionMiddleware
from fastapi_baseline.middleware.compression.variants import ENCODED_BODIES
from fastapi_baseline.settings import CompressionSettings

BODY = b"a" * 2_000


class Remembered:
    def __init__(self, body: bytes, **known: bytes) -> None:
        self.body = body
        self.known = known

    def find(self, coding: str) -> bytes | None:
        return self.known.get(coding)

    def keep(self, coding: str, encoded: bytes) -> None:
        self.known[coding] = encoded


async def sent(remembered: Remembered, *, body: bytes = BODY) -> bytes:
    messages: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope[ENCODED_BODIES] = remembered
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def receive() -> Message:
        raise AssertionError("nobody should ask")

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"accept-encoding", b"gzip")],
    }
    await CompressionMiddleware(app, settings=CompressionSettings())(scope, receive, send)
    assert (b"content-encoding", b"gzip") in messages[0]["headers"]
    assert (b"content-length", str(len(messages[1]["body"])).encode()) in messages[0]["headers"]
    return messages[1]["body"]


async def test_a_body_that_is_known_in_a_coding_is_not_encoded_again() -> None:
    assert await sent(Remembered(BODY, gzip=b"packed")) == b"packed"


async def test_a_body_that_is_not_is_kept_for_the_next_one() -> None:
    remembered = Remembered(BODY)

    body = await sent(remembered)

    assert gzip.decompress(body) == BODY
    assert remembered.known == {"gzip": body}


async def test_what_belongs_to_another_body_is_not_sent() -> None:
    remembered = Remembered(BODY, gzip=b"packed")

    body = await sent(remembered, body=b"b" * 2_000)

    assert gzip.decompress(body) == b"b" * 2_000
    assert remembered.known == {"gzip": b"packed"}
