"""One request with a key, as the layer around the application and the dependency inside share it."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from fastapi_baseline.idempotency.errors import IdempotencyUnavailableError
from fastapi_baseline.idempotency.fingerprint import BodyDigest
from fastapi_baseline.idempotency.store import Header, IdempotencyStore, StoredResponse
from fastapi_baseline.settings import IdempotencySettings

logger = logging.getLogger(__name__)

SCOPE_KEY = "fastapi_baseline.idempotency"
# With these, and all from 500 on, nothing was done, or nobody knows: the request may be repeated
# with the same key, once it is allowed, or conditions have changed, or the service is well.
_RETRYABLE = frozenset({401, 403, 408, 412, 425, 428, 429})
_FIRST_SERVER_ERROR = 500


@dataclass(slots=True, kw_only=True)
class Claim:
    """A key that belongs to this request until it is settled."""

    key: str
    token: str
    lifetime: timedelta


@dataclass(slots=True)
class Exchange:
    """What is known of one request: its body, its claim, and what is to be answered instead."""

    store: IdempotencyStore
    settings: IdempotencySettings
    body: BodyDigest = field(default_factory=BodyDigest)
    claim: Claim | None = None
    replay: StoredResponse | None = None

    async def settle(
        self, status: int | None, headers: Sequence[Header], *, body: bytes | None
    ) -> None:
        """Remember the response, or let the request be repeated if it may.

        `status` is `None` if there was no response; `body` is `None` if it cannot be kept. If the
        store does not answer, the key stays claimed until its time is up.
        """
        claim, self.claim = self.claim, None
        if claim is not None:
            # Whoever gives up waiting for the response does not undo what was done.
            await asyncio.shield(self._settle(claim, status, headers, body=body))

    async def _settle(
        self, claim: Claim, status: int | None, headers: Sequence[Header], *, body: bytes | None
    ) -> None:
        try:
            if status is None or status >= _FIRST_SERVER_ERROR or status in _RETRYABLE:
                await self.store.release(claim.key, token=claim.token)
                return
            response = StoredResponse(status=status, headers=headers, body=body)
            kept = await self.store.complete(
                claim.key, token=claim.token, response=response, lifetime=claim.lifetime
            )
        except IdempotencyUnavailableError as error:
            logger.warning("A response could not be remembered: %r", error.__cause__ or error)
            return
        if not kept:
            logger.warning(
                "A request took longer than IDEMPOTENCY__LOCK_TIMEOUT; it may have been carried "
                "out twice."
            )
