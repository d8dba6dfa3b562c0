"""The content codings: gzip (RFC 1952), br (RFC 7932) and zstd (RFC 8878).

Levels are those that are worth their time for a body that is made for one client: one step more
costs half as much again, and saves three bytes of a hundred.
"""

import importlib
import logging
import threading
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi_baseline._extras import optional
from fastapi_baseline.errors import ConfigurationError, MissingExtraError

logger = logging.getLogger(__name__)

_GZIP_LEVEL = 2
_BROTLI_QUALITY = 3
_ZSTD_LEVEL = 3
# 16 more says gzip instead of zlib.
_GZIP_WINDOW = 16 + 15
_SMALL_GZIP_WINDOW = 16 + 14
# Below this, tables of half the size compress as well, and are allocated twice as fast.
_SMALL = 16 * 1024
# A stream's memory lives as long as its client reads: 128 KiB are remembered, and not megabytes.
_STREAM_WINDOW_BITS = 17


class Encoder(Protocol):
    """One body on its way; its parts are encoded in order, and then it is finished once."""

    def encode(self, part: bytes) -> bytes:
        """Return what can be sent now, from which the client gets all of `part`."""
        ...

    def finish(self, part: bytes) -> bytes:
        """Return the last part, and what ends the body."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """One way to write a body in fewer bytes; safe to use from several threads."""

    name: str
    encode_whole: Callable[[bytes], bytes]
    start: Callable[[], Encoder]


def find_codings(names: Iterable[str]) -> tuple[Coding, ...]:
    """Return the codings of these names; one whose library is not installed is left out.

    Raises:
        ConfigurationError: If a name is none of `zstd`, `br` and `gzip`.
    """
    found: dict[str, Coding] = {}
    for name in names:
        make = _MAKERS.get(name)
        if make is None:
            raise ConfigurationError(
                f"There is no encoding {name!r}; there are {', '.join(_MAKERS)}."
            )
        try:
            found[name] = make()
        except MissingExtraError as error:
            logger.debug("Nothing is compressed with %s: %s", name, error)
    return tuple(found.values())


class _GzipEncoder:
    def __init__(self) -> None:
        self._stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def encode(self, part: bytes) -> bytes:
        return self._stream.compress(part) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self, part: bytes) -> bytes:
        return self._stream.compress(part) + self._stream.flush()


def _make_gzip() -> Coding:
    def encode_whole(body: bytes) -> bytes:
        if len(body) > _SMALL:
            return zlib.compress(body, _GZIP_LEVEL, _GZIP_WINDOW)
        stream = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _SMALL_GZIP_WINDOW, 7)
        return stream.compress(body) + stream.flush()

    return Coding(name="gzip", encode_whole=encode_whole, start=_GzipEncoder)


class _BrotliEncoder:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def encode(self, part: bytes) -> bytes:
        return self._stream.process(part) + self._stream.flush()

    def finish(self, part: bytes) -> bytes:
        return self._stream.process(part) + self._stream.finish()


def _make_brotli() -> Coding:
    with optional("brotli", extra="compression"):
        brotli: Any = importlib.import_module("brotli")

    def encode_whole(body: bytes) -> bytes:
        return brotli.compress(body, quality=_BROTLI_QUALITY)

    def start() -> Encoder:
        stream = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_STREAM_WINDOW_BITS)
        return _BrotliEncoder(stream)

    return Coding(name="br", encode_whole=encode_whole, start=start)


class _ZstdEncoder:
    def __init__(self, stream: Any, *, flush_block: int) -> None:
        self._stream = stream
        self._flush_block = flush_block

    def encode(self, part: bytes) -> bytes:
        return self._stream.compress(part) + self._stream.flush(self._flush_block)

    def finish(self, part: bytes) -> bytes:
        return self._stream.compress(part) + self._stream.flush()


def _make_zstd() -> Coding:
    try:
        return _make_zstd_of_library()
    except MissingExtraError:
        try:
            standard: Any = importlib.import_module("compression.zstd")
        except ModuleNotFoundError:  # Before Python 3.14.
            standard = None
        if standard is None:
            raise
    return _make_zstd_of_standard_library(standard)


def _make_zstd_of_library() -> Coding:
    with optional("zstandard", extra="compression"):
        zstandard: Any = importlib.import_module("zstandard")
    parameters = zstandard.ZstdCompressionParameters.from_level(
        _ZSTD_LEVEL, source_size=1 << _STREAM_WINDOW_BITS, window_log=_STREAM_WINDOW_BITS
    )
    # A context costs twice what a small body does; it may be used by one thread at a time.
    contexts = threading.local()

    def encode_whole(body: bytes) -> bytes:
        context = getattr(contexts, "own", None)
        if context is None:
            context = contexts.own = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
        return context.compress(body)

    def start() -> Encoder:
        stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return _ZstdEncoder(stream, flush_block=zstandard.COMPRESSOBJ_FLUSH_BLOCK)

    return Coding(name="zstd", encode_whole=encode_whole, start=start)


def _make_zstd_of_standard_library(zstd: Any) -> Coding:
    options = {
        zstd.CompressionParameter.compression_level: _ZSTD_LEVEL,
        zstd.CompressionParameter.window_log: _STREAM_WINDOW_BITS,
    }

    def encode_whole(body: bytes) -> bytes:
        return zstd.compress(body, level=_ZSTD_LEVEL)

    def start() -> Encoder:
        return _ZstdEncoder(
            zstd.ZstdCompressor(options=options), flush_block=zstd.ZstdCompressor.FLUSH_BLOCK
        )

    return Coding(name="zstd", encode_whole=encode_whole, start=start)


_MAKERS: dict[str, Callable[[], Coding]] = {
    "zstd": _make_zstd,
    "br": _make_brotli,
    "gzip": _make_gzip,
}
CODINGS = tuple(_MAKERS)
"""The names of all codings, whether or not their libraries are installed."""
