from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from fastapi_cache import Coder, FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend
from fastapi_cache.coder import JsonCoder, PickleCoder
from fastapi_cache.types import Backend

from fastapi_baseline.caching import Cache
from fastapi_baseline.caching.compat import (
    BaselineBackend,
    KeyBuilder,
    TypedCoder,
    fastapi_cache_lifespan,
    init_fastapi_cache,
)
from fastapi_baseline.caching.compat.installation import check_contract
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import CacheSettings


@pytest.fixture(autouse=True)
def registry() -> Generator[None]:
    FastAPICache.reset()
    yield
    FastAPICache.reset()


def own_builder(*_: Any, **__: Any) -> str:
    return ""


class OwnCoder(Coder): ...


class OwnBackend(Backend):
    async def get_with_ttl(self, key: str) -> tuple[int, bytes | None]:
        return 0, None

    async def get(self, key: str) -> bytes | None:
        return None

    async def set(self, key: str, value: bytes, expire: int | None = None) -> None: ...

    async def clear(self, namespace: str | None = None, key: str | None = None) -> int:
        return 0


def test_a_service_that_has_said_nothing_gets_ours() -> None:
    init_fastapi_cache(Cache(settings=CacheSettings(expire=timedelta(seconds=30))))

    assert isinstance(FastAPICache.get_backend(), BaselineBackend)
    assert FastAPICache.get_coder() is TypedCoder
    assert isinstance(FastAPICache.get_key_builder(), KeyBuilder)
    assert (FastAPICache.get_prefix(), FastAPICache.get_expire()) == ("fastapi-cache", 30)


@pytest.mark.parametrize("coder", [JsonCoder, PickleCoder])
def test_what_comes_with_it_is_replaced_and_the_rest_stays(coder: type[Coder]) -> None:
    FastAPICache.init(
        InMemoryBackend(),
        prefix="api",
        expire=7,
        coder=coder,
        cache_status_header="X-Mine",
        enable=False,
    )

    init_fastapi_cache(Cache())

    assert isinstance(FastAPICache.get_backend(), BaselineBackend)
    assert FastAPICache.get_coder() is TypedCoder
    assert isinstance(FastAPICache.get_key_builder(), KeyBuilder)
    assert (FastAPICache.get_prefix(), FastAPICache.get_expire()) == ("api", 7)
    assert FastAPICache.get_cache_status_header() == "X-Mine"
    assert not FastAPICache.get_enable()


def test_what_the_service_has_written_stays() -> None:
    backend = OwnBackend()
    FastAPICache.init(backend, coder=OwnCoder, key_builder=own_builder)

    init_fastapi_cache(Cache())

    assert FastAPICache.get_backend() is backend
    assert FastAPICache.get_coder() is OwnCoder
    assert FastAPICache.get_key_builder() is own_builder


async def test_an_application_that_has_stopped_leaves_nothing() -> None:
    async with fastapi_cache_lifespan(Cache()):
        assert FastAPICache._init  # pyright: ignore[reportPrivateUsage] -- nothing public tells

    assert not FastAPICache._init  # pyright: ignore[reportPrivateUsage] -- nothing public tells


async def test_of_two_applications_the_last_to_start_has_it() -> None:
    first, second = Cache(), Cache()

    async with fastapi_cache_lifespan(first), fastapi_cache_lifespan(second):
        inner: Any = FastAPICache.get_backend()
        assert inner.cache is second


async def test_an_application_that_stops_takes_it_from_nobody_else() -> None:
    first, second = Cache(), Cache()
    one, other = fastapi_cache_lifespan(first), fastapi_cache_lifespan(second)
    await one.__aenter__()
    await other.__aenter__()

    await one.__aexit__(None, None, None)

    left: Any = FastAPICache.get_backend()
    assert left.cache is second
    await other.__aexit__(None, None, None)


def test_a_release_without_what_is_used_is_refused() -> None:
    class Later:
        _init = False

        @classmethod
        def init(cls, backend: object) -> None: ...

    with pytest.raises(ConfigurationError, match="has no _backend"):
        check_contract(Later)


def test_a_release_without_an_argument_that_is_used_is_refused() -> None:
    class Later(FastAPICache):
        @classmethod
        def init(cls, backend: object) -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride] -- it is what is refused

    with pytest.raises(ConfigurationError, match=r"has no init\(prefix=\)"):
        check_contract(Later)
