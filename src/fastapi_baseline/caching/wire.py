"""How entries are written where processes of several versions read them: no code, only data."""

from fastapi_baseline._extras import optional
from fastapi_baseline.caching.entries import Entry
from fastapi_baseline.caching.store import Invalidation

with optional("msgspec", extra="cache"):
    import msgspec

FORMAT = b"\x01"
"""The first byte of an entry; what begins otherwise is none, or of another version."""
TOMBSTONE = b"\x00"
"""The first byte of what stands for a key that was deleted."""
MOMENT_SIZE = 16
"""How many digits the microseconds have that follow: when the making of the entry began."""

_START = len(FORMAT) + MOMENT_SIZE

_ENCODER = msgspec.msgpack.Encoder()
_ENTRIES = msgspec.msgpack.Decoder(tuple[tuple[bytes, ...], Entry])
_INVALIDATIONS = msgspec.msgpack.Decoder(Invalidation)


def pack(entry: Entry, *, versions: tuple[bytes, ...], started_at: bytes) -> bytes:
    """Return an entry as one value; `versions` are those of its tags."""
    return FORMAT + started_at + _ENCODER.encode((versions, entry))


def unpack(value: bytes | None) -> tuple[tuple[bytes, ...], Entry] | None:
    """Return the versions and the entry of a value; `None` if it has none that can be read."""
    if value is None or value[:1] != FORMAT:
        return None
    try:
        versions, entry = _ENTRIES.decode(memoryview(value)[_START:])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return (versions, entry) if len(versions) == len(entry.tags) else None


def pack_invalidation(invalidation: Invalidation) -> bytes:
    """Return an invalidation as a message."""
    return FORMAT + _ENCODER.encode(invalidation)


def unpack_invalidation(message: bytes) -> Invalidation:
    """Return what a message says is invalid: everything, if it cannot be read."""
    if message[:1] == FORMAT:
        try:
            return _INVALIDATIONS.decode(memoryview(message)[1:])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    return Invalidation(is_everything=True)
