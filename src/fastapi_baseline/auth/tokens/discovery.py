"""Where the keys of an issuer are, by its metadata, and what they are."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from urllib.parse import urlsplit

from fastapi_baseline.auth.tokens.addresses import is_safe_address
from fastapi_baseline.auth.tokens.fetching import Fetcher, FetchError
from fastapi_baseline.auth.tokens.issuers import TrustedIssuer
from fastapi_baseline.auth.tokens.key_ring import KeyRing
from fastapi_baseline.clock import Clock

METADATA_MAX_AGE = timedelta(hours=1)
"""How long it is believed where the keys are, as long as they are there."""

_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class FetchedKeys:
    """Keys, and how long they are good according to their issuer."""

    ring: KeyRing
    max_age: timedelta | None


class KeyLoader:
    """Fetches the keys of one issuer."""

    def __init__(
        self, issuer: TrustedIssuer, fetcher: Fetcher, *, clock: Clock, timeout: timedelta
    ) -> None:
        """Take no longer than `timeout`, metadata and keys together."""
        self._issuer = issuer
        self._fetcher = fetcher
        self._clock = clock
        self._timeout_s = timeout.total_seconds()
        self._found_url: str | None = None
        self._found_at = 0.0

    async def load(self) -> FetchedKeys:
        """Return the keys that a token may be signed with.

        Raises:
            FetchError: If there are none.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._load()
        except TimeoutError:
            raise FetchError("it took too long") from None

    async def _load(self) -> FetchedKeys:
        # Not before there are keys to read: it takes a tenth of the time that a service starts in.
        from fastapi_baseline.auth.tokens.keys import import_keys  # noqa: PLC0415 -- as said

        url = self._issuer.jwks_url or await self._find_url()
        try:
            answer = await self._fetcher.get(url)
            ring = import_keys(
                answer.document, algorithms=self._issuer.algorithms, issuer=self._issuer.issuer
            )
            if not ring.size:
                raise FetchError("it has no key that can be used")  # noqa: TRY301 -- as any failure
        except BaseException:
            # They may have moved.
            self._found_url = None
            raise
        return FetchedKeys(ring, answer.max_age)

    async def _find_url(self) -> str:
        """Return where the metadata say that the keys are."""
        now = self._clock.monotonic()
        age = timedelta(seconds=now - self._found_at)
        if self._found_url is None or age >= METADATA_MAX_AGE:
            self._found_url = None
            self._found_url = await self._discover()
            self._found_at = now
        return self._found_url

    async def _discover(self) -> str:
        openid, oauth = metadata_urls(self._issuer.issuer)
        try:
            answer = await self._fetcher.get(openid)
        except FetchError as error:
            if error.status != _NOT_FOUND:
                raise
            answer = await self._fetcher.get(oauth)
        return _read_jwks_url(answer.document, issuer=self._issuer.issuer)


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Return where the metadata of an issuer are.

    The first is that of OpenID Connect Discovery (section 4), the second that of RFC 8414
    (section 3).
    """
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    host = f"{parts.scheme}://{parts.netloc}"
    return (
        f"{host}{path}/.well-known/openid-configuration",
        f"{host}/.well-known/oauth-authorization-server{path}",
    )


def _read_jwks_url(document: object, *, issuer: str) -> str:
    if not isinstance(document, dict):
        raise FetchError("its metadata are no JSON object")
    metadata = cast("dict[str, object]", document)
    if metadata.get("issuer") != issuer:
        # To the letter (RFC 8414, section 3.3): otherwise one issuer could stand in for another.
        raise FetchError("its metadata are those of another issuer")
    url = metadata.get("jwks_uri")
    if not isinstance(url, str) or not is_safe_address(url):
        raise FetchError("its metadata do not say where its keys are, or not behind TLS")
    if issuer.startswith("https:") and not url.startswith("https:"):
        raise FetchError("its metadata say that its keys are on this machine")
    return url
