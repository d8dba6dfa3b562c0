import importlib
import sys
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.middleware.compression.encoders import CODINGS, Coding, find_codings

BROTLI: Any = importlib.import_module("brotli")  # It has no types.
DECODERS: dict[str, Callable[[], Any]] = {
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "br": lambda: _BrotliReader(),  # noqa: PLW0108 -- the class stands below
    "gzip": lambda: zlib.decompressobj(31),
}
CODED = st.sampled_from(find_codings(CODINGS))


class _BrotliReader:
    def __init__(self) -> None:
        self._reader: Any = BROTLI.Decompressor()

    def decompress(self, data: bytes) -> bytes:
        return self._reader.process(data)


def _decode(coding: Coding, data: bytes) -> bytes:
    return DECODERS[coding.name]().decompress(data)


@given(CODED, st.binary(max_size=5_000))
def test_a_whole_body_comes_back(coding: Coding, body: bytes) -> None:
    assert _decode(coding, coding.encode_whole(body)) == body


@given(CODED, st.lists(st.binary(max_size=2_000), min_size=1, max_size=8))
def test_a_body_in_parts_comes_back_however_it_is_cut(coding: Coding, parts: list[bytes]) -> None:
    encoder = coding.start()

    encoded = [encoder.encode(part) for part in parts[:-1]] + [encoder.finish(parts[-1])]

    assert _decode(coding, b"".join(encoded)) == b"".join(parts)


@given(CODED, st.lists(st.binary(min_size=1, max_size=2_000), min_size=1, max_size=8))
def test_each_part_can_be_read_when_it_arrives(coding: Coding, parts: list[bytes]) -> None:
    encoder, decoder = coding.start(), DECODERS[coding.name]()

    for part in parts:
        assert decoder.decompress(encoder.encode(part)) == part


@pytest.mark.parametrize("name", CODINGS)
@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 3 * 1024 * 1024])
def test_takes_bodies_of_all_sizes(name: str, size: int) -> None:
    [coding] = find_codings([name])
    body = (b'{"name": "ann", "number": 17}, ' * (size // 31 + 1))[:size]

    encoded = coding.encode_whole(body)

    assert _decode(coding, encoded) == body
    assert len(encoded) < 30 + size / 10


@pytest.mark.parametrize("name", CODINGS)
def test_takes_what_is_not_bytes_but_like_them(name: str) -> None:
    [coding] = find_codings([name])
    body: Any = memoryview(b"abc" * 1_000)
    encoder = coding.start()

    assert _decode(coding, coding.encode_whole(body)) == body
    assert _decode(coding, encoder.encode(body) + encoder.finish(body)) == bytes(body) * 2


@pytest.mark.parametrize("name", CODINGS)
def test_a_coding_may_be_used_by_several_threads_at_once(name: str) -> None:
    [coding] = find_codings([name])
    bodies = [bytes([number]) * 100_000 for number in range(64)]
    together = threading.Barrier(8, timeout=60)

    def encode(body: bytes) -> bytes:
        if body[0] < 8:
            together.wait()
        return coding.encode_whole(body)

    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(encode, bodies))

    assert [_decode(coding, data) for data in encoded] == bodies


def test_what_is_encoded_has_no_time_in_it() -> None:
    [gzip] = find_codings(["gzip"])

    assert gzip.encode_whole(b"a" * 100)[4:8] == bytes(4)
    assert (gzip.start().encode(b"a") + b"")[4:8] == bytes(4)


def test_windows_are_no_larger_than_clients_must_allow() -> None:
    # RFC 9659 allows 8 MiB.
    [zstd] = find_codings(["zstd"])
    frame = zstandard.get_frame_parameters(zstd.encode_whole(bytes(20 * 1024 * 1024)))

    assert frame.window_size <= 8 * 1024 * 1024


def test_offers_codings_in_the_order_of_their_names() -> None:
    assert [coding.name for coding in find_codings(["gzip", "zstd", "gzip"])] == ["gzip", "zstd"]
    assert find_codings([]) == ()


@pytest.mark.parametrize("name", ["deflate", "GZIP", "brotli", "identity", ""])
def test_refuses_a_coding_that_there_is_not(name: str) -> None:
    with pytest.raises(ConfigurationError, match="zstd, br, gzip"):
        find_codings([name])


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        (["brotli"], ["zstd", "gzip"]),
        (["zstandard", "compression.zstd"], ["br", "gzip"]),
        (["brotli", "zstandard", "compression.zstd"], ["gzip"]),
    ],
)
def test_leaves_out_what_is_not_installed(
    missing: list[str], left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in missing:
        monkeypatch.setitem(sys.modules, library, None)

    assert [coding.name for coding in find_codings(CODINGS)] == left


class _StandardCompressor:
    """What `compression.zstd` has from Python 3.14 on, made of what is installed here."""

    CONTINUE, FLUSH_BLOCK, FLUSH_FRAME = 0, 1, 2

    def __init__(self, level: int | None = None, options: dict[str, int] | None = None) -> None:
        chosen = options or {"level": level or 3}
        parameters: Any = zstandard.ZstdCompressionParameters(
            compression_level=chosen["level"], window_log=chosen.get("window", 0)
        )
        self._stream: Any = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def compress(self, data: bytes, mode: int = CONTINUE) -> bytes:
        assert mode == self.CONTINUE
        return self._stream.compress(data)

    def flush(self, mode: int = FLUSH_FRAME) -> bytes:
        return self._stream.flush(
            zstandard.COMPRESSOBJ_FLUSH_BLOCK
            if mode == self.FLUSH_BLOCK
            else zstandard.COMPRESSOBJ_FLUSH_FINISH
        )


def _standard_zstd() -> ModuleType:
    module: Any = ModuleType("compression.zstd")

    class CompressionParameter:
        compression_level = "level"
        window_log = "window"

    def compress(data: bytes, level: int | None = None) -> bytes:
        return zstandard.ZstdCompressor(level=level or 3).compress(data)

    module.CompressionParameter = CompressionParameter
    module.ZstdCompressor = _StandardCompressor
    module.compress = compress
    return module


def test_zstd_of_the_standard_library_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setitem(sys.modules, "compression", ModuleType("compression"))
    monkeypatch.setitem(sys.modules, "compression.zstd", _standard_zstd())

    [zstd] = find_codings(["zstd"])
    encoder = zstd.start()
    decoder = DECODERS["zstd"]()

    assert _decode(zstd, zstd.encode_whole(b"whole")) == b"whole"
    assert decoder.decompress(encoder.encode(b"first")) == b"first"
    assert decoder.decompress(encoder.finish(b"last")) == b"last"
