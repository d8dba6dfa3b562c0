"""What tells whether two requests are the same one (draft section 2.4)."""

import hashlib
import json
from collections.abc import Iterable

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException  # noqa: TID251 -- Starlette's parser raises it
from starlette.requests import Request
from starlette.types import Message, Receive

_MULTIPART = "multipart/form-data"
_READ_SIZE = 64 * 1024


class BodyDigest:
    """The hash of a body, made while the application reads it."""

    __slots__ = ("_hash", "is_complete")

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self.is_complete = False

    def wrap(self, receive: Receive) -> Receive:
        """Return what receives the same messages, and hashes the bodies in them."""

        async def receive_hashed() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                self._hash.update(message.get("body", b""))
                self.is_complete = not message.get("more_body", False)
            return message

        return receive_hashed

    def hexdigest(self) -> str:
        """Return the hash of what was read so far."""
        return self._hash.hexdigest()


async def fingerprint_of(request: Request, body: BodyDigest) -> str:
    """Return a hash of the method, the path, the query, the media type and the body.

    The body counts as its bytes. A form with files counts as its fields, since clients choose the
    boundary between them at random.
    """
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    content = None
    if media_type == _MULTIPART:
        content = await _digest_form(request)
    elif not body.is_complete:
        # Nobody has read it yet; the request keeps it for whoever comes later.
        await request.body()
    return digest(
        [
            request.method,
            request.scope["path"],
            request.scope.get("query_string", b"").decode("latin-1"),
            media_type,
            content or body.hexdigest(),
        ]
    )


def digest(parts: Iterable[str | None]) -> str:
    """Return a hash of texts that no other list of texts has."""
    return hashlib.sha256(json.dumps(list(parts)).encode("ascii")).hexdigest()


async def _digest_form(request: Request) -> str | None:
    """Return a hash of the fields, or `None` if the body is no form that can be read."""
    try:
        body = await request.body()
    except RuntimeError:
        # The route has read it as a form, which it closes itself.
        return await _digest_fields(await request.form())
    try:
        async with Request(request.scope, _receive_of(body)).form() as form:
            return await _digest_fields(form)
    except (AssertionError, HTTPException):
        # python-multipart is not installed, or finds something wrong.
        return None


def _receive_of(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return receive


async def _digest_fields(form: FormData) -> str:
    parts: list[str | None] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            parts += ["file", name, value.filename, value.content_type, await _digest_file(value)]
        else:
            parts += ["field", name, value]
    return digest(parts)


async def _digest_file(file: UploadFile) -> str:
    total = hashlib.sha256()
    while chunk := await file.read(_READ_SIZE):
        total.update(chunk)
    await file.seek(0)
    return total.hexdigest()
