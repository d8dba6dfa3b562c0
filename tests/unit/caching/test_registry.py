import sys
from collections.abc import Generator
from datetime import timedelta
from typing import Any

import pytest
from fastapi_cache import FastAPICache
from fastapi_cache.backends.inmemory import InMemoryBackend

from fastapi_baseline.caching.compat import make_key
from fastapi_baseline.caching.registry import Registry, namespace_from, read_registry


@pytest.fixture(autouse=True)
def registry() -> Generator[None]:
    FastAPICache.reset()
    yield
    FastAPICache.reset()


def own_builder(*_: Any, **__: Any) -> str:
    return ""


def test_who_has_said_nothing_is_enabled() -> None:
    assert read_registry() == Registry()


def test_who_has_not_imported_it_has_said_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fastapi_cache")

    assert read_registry() == Registry()
    assert "fastapi_cache" not in sys.modules


def test_reads_what_the_service_has_said() -> None:
    FastAPICache.init(InMemoryBackend(), prefix="api", expire=7, key_builder=own_builder)

    assert read_registry() == Registry(
        prefix="api", expire=timedelta(seconds=7), key_builder=own_builder
    )


@pytest.mark.parametrize("builder", [None, make_key], ids=["stock", "ours"])
def test_a_key_builder_that_the_service_has_not_written_is_none(builder: Any) -> None:
    options = {} if builder is None else {"key_builder": builder}
    FastAPICache.init(InMemoryBackend(), enable=False, **options)

    assert read_registry() == Registry(is_enabled=False)


@pytest.mark.parametrize(
    ("parts", "namespace"),
    [
        (("api", "users"), "api.users"),
        (("api:", ""), "api"),
        (("", ":users"), "users"),
        (("api:v1", "a b"), "api.v1.a.b"),
        ((), ""),
    ],
)
def test_a_namespace_is_made_of_the_names_of_others(parts: tuple[str, ...], namespace: str) -> None:
    assert namespace_from(*parts) == namespace
