from datetime import timedelta
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Scope

from fastapi_baseline.caching.errors import InvalidTagError
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.policy import MAX_VARY, ResponsePolicy
from fastapi_baseline.caching.registry import Registry
from fastapi_baseline.settings import CacheSettings

CREDENTIALS = Credentials(CacheSettings())
SCOPE: Scope = {
    "type": "http",
    "method": "GET",
    "scheme": "http",
    "path": "/a",
    "query_string": b"",
    "headers": [(b"authorization", b"ann")],
}


def endpoint() -> None: ...


def policy(**changes: Any) -> ResponsePolicy:
    return ResponsePolicy(function=endpoint, identity="shop.endpoint", **changes)


async def key(one: ResponsePolicy, scope: Scope = SCOPE, registry: Registry | None = None) -> str:
    return await one.key_for(
        scope, credentials=CREDENTIALS, registry=registry or Registry(), arguments=((), {})
    )


async def test_a_key_tells_the_function_and_nothing_else() -> None:
    namespace, name, digest = (await key(policy(namespace="users"))).split(":")

    assert (namespace, name, len(digest)) == ("users", "shop.endpoint", 32)


async def test_the_prefix_of_the_registry_comes_before_the_namespace() -> None:
    registry = Registry(prefix="api", expire=timedelta(1))

    assert (await key(policy(namespace="users"), registry=registry)).startswith("api.users:")
    assert (await key(policy(), registry=registry)).startswith("api:")


async def test_what_is_public_has_one_key_for_all() -> None:
    bob = {**SCOPE, "headers": [(b"authorization", b"bob")]}

    assert await key(policy(is_public=True)) == await key(policy(is_public=True), bob)
    assert await key(policy()) != await key(policy(), bob)


async def test_headers_that_make_a_difference_are_part_of_the_key() -> None:
    german = {**SCOPE, "headers": [(b"accept-language", b"de")]}
    french = {**SCOPE, "headers": [(b"accept-language", b"fr")]}
    vary = policy(is_public=True, vary=frozenset({b"accept-language"}))

    assert await key(vary, german) != await key(vary, french)
    assert await key(policy(is_public=True), german) == await key(policy(is_public=True), french)


async def test_a_key_builder_is_called_as_fastapi_cache_calls_it() -> None:
    calls: list[Any] = []

    async def build(function: Any, namespace: str = "", **options: Any) -> str:
        calls.append((function, namespace, sorted(options)))
        return "key"

    one = await key(policy(key_builder=build, namespace="users"), registry=Registry(prefix="api"))
    other = await key(policy(namespace="users"), registry=Registry(prefix="api", key_builder=build))

    expected = (endpoint, "api:users", ["args", "kwargs", "request", "response"])
    assert calls == [expected, expected]
    assert one == other


async def test_without_a_tenant_nothing_is_shared_in_one() -> None:
    bob = {**SCOPE, "headers": [(b"authorization", b"bob")]}

    assert await key(policy(per="tenant")) != await key(policy(per="tenant"), bob)


def test_tags_are_filled_with_arguments() -> None:
    tagged = policy(tags=["all", "order:{number}"])

    assert tagged.tags_for(SCOPE, {"number": 7}) == ("all", "order:7")
    assert policy().tags_for(SCOPE, {}) == ()


def test_tags_may_be_made_of_the_request() -> None:
    def tags_of(request: Request) -> list[str]:
        return [f"path:{request.url.path}"]

    assert policy(tags=tags_of).tags_for({**SCOPE, "server": ("a", 80)}, {}) == ("path:/a",)


def test_a_tag_that_names_no_argument_is_refused() -> None:
    with pytest.raises(InvalidTagError, match="has no argument 'number'"):
        policy(tags=["order:{number}"]).tags_for(SCOPE, {})


def test_what_a_response_depends_on_is_learned_once() -> None:
    one = policy()

    assert one.learn({b"accept"}, CREDENTIALS)
    assert not one.learn({b"accept", b"authorization"}, CREDENTIALS)
    assert one.vary == {b"accept"}


def test_a_credential_is_news_to_what_is_public() -> None:
    one = policy(is_public=True)

    assert one.learn({b"authorization"}, CREDENTIALS)
    assert one.vary_with(CREDENTIALS) == {b"authorization"}


def test_more_headers_than_any_response_depends_on_are_never_learned() -> None:
    one = policy()
    many = [b"x-%d" % number for number in range(MAX_VARY + 1)]

    assert one.learn(many, CREDENTIALS)
    assert one.learn(many, CREDENTIALS)
    assert one.vary == frozenset()
