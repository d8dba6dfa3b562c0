"""Where it is remembered which keys were used, and what was answered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, Self

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResponse:
    """What was answered; `body` is `None` if it was not kept."""

    status: int
    headers: Sequence[Header]
    body: bytes | None

    def to_bytes(self) -> bytes:
        """Return it as one value: a line of JSON, and the body after it."""
        head = {
            "status": self.status,
            "headers": [[part.decode("latin-1") for part in pair] for pair in self.headers],
            "kept": self.body is not None,
        }
        return json.dumps(head, separators=(",", ":")).encode("ascii") + b"\n" + (self.body or b"")

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """Return what `to_bytes` made a value of."""
        line, _, body = value.partition(b"\n")
        head = json.loads(line)
        return cls(
            status=head["status"],
            headers=[
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in head["headers"]
            ],
            body=body if head["kept"] else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a key that was used before.

    `fingerprint` tells which request it came with; `response` is `None` while that is answered.
    """

    fingerprint: str
    response: StoredResponse | None


class IdempotencyStore(Protocol):
    """What remembers keys. Implement it to add a backend.

    Each method is atomic for everybody who shares the store. Methods raise
    `IdempotencyUnavailableError` if the store does not answer; what they should have done may be
    done then or not.
    """

    async def claim(
        self, key: str, *, token: str, fingerprint: str, lock_timeout: timedelta
    ) -> Record | None:
        """Give the key to the holder of `token`, unless it was used before; return what is known.

        `None` means that the key is the caller's, until `complete`, `release`, or `lock_timeout`
        has passed. A second call with the same token has the same outcome.
        """
        ...

    async def complete(
        self, key: str, *, token: str, response: StoredResponse, lifetime: timedelta
    ) -> bool:
        """Remember the response for `lifetime`, and return whether the key was still the caller's.

        If it was not, nothing changes: another request has taken it over.
        """
        ...

    async def release(self, key: str, *, token: str) -> None:
        """Forget the key, if it is the caller's and has no response."""
        ...
