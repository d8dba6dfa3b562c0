"""How an issuer is asked: in little time, for little, and itself only.

Nothing that it answers can make the service wait long, hold much, or ask somewhere else.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING  # noqa: TID251 -- for what is loaded when an issuer is asked

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.tokens.addresses import is_safe_address

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

MakeClient = Callable[[], "AsyncClient"]
"""Makes the HTTP client by which an issuer is asked."""

MAX_ANSWER_BYTES = 512_000
"""How much an issuer may answer with; key sets have a few kB."""

_OK = 200
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,10})\"?(?=$|[,\s])", re.ASCII)
_UNKEPT = re.compile(r"(?:^|[,\s])no-(?:store|cache)(?=$|[=,\s])", re.ASCII)


class FetchError(Exception):
    """An issuer did not give an answer that can be used; the message is for operators."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        """Say what happened, and the status if there was an answer."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """What an issuer has answered, and how long that is good according to it."""

    document: object
    max_age: timedelta | None = None


class Fetcher:
    """Asks issuers. The connections are made when they are first needed."""

    def __init__(self, *, timeout: timedelta, make_client: MakeClient | None = None) -> None:
        """Wait for no answer longer than `timeout`, from its first byte to its last."""
        self._timeout_s = timeout.total_seconds()
        self._make_client = make_client or self._make_default_client
        self._client: AsyncClient | None = None

    def _make_default_client(self) -> "AsyncClient":
        with optional("httpx2", extra="auth"):
            from httpx2 import AsyncClient  # noqa: PLC0415 -- not before somebody is asked

        return AsyncClient(timeout=self._timeout_s, follow_redirects=False)

    async def get(self, url: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        """Return a JSON document.

        Raises:
            FetchError: If there is none.
        """
        return await self._ask("GET", url, headers=headers or {}, content=None)

    async def post(self, url: str, *, form: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a form, and return the JSON document that is the answer.

        Raises:
            FetchError: If there is none.
        """
        typed = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        return await self._ask("POST", url, headers=typed, content=form)

    async def close(self) -> None:
        """Close the connections; whoever asks again makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None
    ) -> Answer:
        if not is_safe_address(url):
            raise FetchError("it would have to be asked without TLS")
        with optional("httpx2", extra="auth"):
            import httpx2  # noqa: PLC0415 -- not before somebody is asked

        if self._client is None:
            self._client = self._make_client()
        # Compressed, little could become much before anybody could count it.
        wanted = {"Accept": "application/json", "Accept-Encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(
                    method, url, headers=wanted, content=content, follow_redirects=False
                ) as response,
            ):
                return await _read(response)
        except TimeoutError:
            raise FetchError("it took too long") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise FetchError(type(error).__name__) from error


async def _read(response: "Response") -> Answer:
    status = response.status_code
    if status != _OK:
        raise FetchError(f"it answered with status {status}", status=status)
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FetchError("it answered with something compressed", status=status)
    received = bytearray()
    async for chunk in response.aiter_bytes():
        received += chunk
        if len(received) > MAX_ANSWER_BYTES:
            raise FetchError("it answered with too much", status=status)
    try:
        document: object = json.loads(received.decode())
    except (ValueError, RecursionError):
        raise FetchError("it answered with something that is no JSON", status=status) from None
    return Answer(document, _max_age_of(response.headers.get("Cache-Control", "")))


def _max_age_of(cache_control: str) -> timedelta | None:
    directives = cache_control.lower()
    if _UNKEPT.search(directives):
        return timedelta(0)
    found = _MAX_AGE.search(directives)
    return None if found is None else timedelta(seconds=int(found[1]))
