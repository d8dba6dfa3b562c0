"""What is kept: the bytes of a value or of a response, and until when they are any good."""

from typing import Literal

from fastapi_baseline._extras import optional

with optional("msgspec", extra="cache"):
    import msgspec

Header = tuple[bytes, bytes]
State = Literal["fresh", "stale", "fallback"]
"""How good an entry is: `fresh` can be given; `stale` can be given while it is made anew; and
`fallback` only if that fails."""
Level = Literal["local", "remote", "flight"]
"""Where an entry was found: in this process, in the store that processes share, or with another
request that has just made it."""


# Nothing in it can refer back to it, so the garbage collector need not look.
class Entry(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
    """What is kept under one key. Moments are seconds since 1970 (UTC).

    `stale_until` and `error_until` are no earlier than `fresh_until`: until then the entry may be
    given while it is made anew (`stale-while-revalidate`), or if that fails (`stale-if-error`).
    """

    body: bytes
    stored_at: float
    fresh_until: float
    stale_until: float
    error_until: float
    tags: tuple[str, ...] = ()
    schema: str = ""
    """What the body is a form of: an entry of another schema is of no use."""
    making_s: float = 0.0
    """How many seconds it took to make: what takes long is made anew somewhat before its time."""
    status: int = 200
    headers: tuple[Header, ...] = ()
    etag: str = ""
    variants: dict[str, bytes] = msgspec.field(default_factory=dict[str, bytes])
    """The body in other codings, by their names (`zstd`, `gzip`)."""

    @property
    def size(self) -> int:
        """Return how many bytes its parts have."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.body) + sum(map(len, self.variants.values())) + headers

    @property
    def kept_until(self) -> float:
        """Return the moment from which on it is of no use at all."""
        return max(self.fresh_until, self.stale_until, self.error_until)

    def state_at(self, moment: float) -> State | None:
        """Return how good it is at a moment; `None` if it is of no use any more."""
        if moment < self.fresh_until:
            return "fresh"
        if moment < self.stale_until:
            return "stale"
        return "fallback" if moment < self.error_until else None


class Found(msgspec.Struct, frozen=True):
    """An entry that was found, how good it is, and where it was."""

    entry: Entry
    state: State
    level: Level
    is_due: bool = False
    """Whether to make it anew in the background: it is stale, or will be so soon."""
