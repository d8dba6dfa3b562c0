"""What a route says of how its responses are kept."""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, Literal, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from fastapi_baseline import context
from fastapi_baseline.caching.errors import InvalidTagError
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.keys import (
    HOST,
    Credentials,
    caller_of,
    digest_of,
    select_headers,
    text_of,
    url_of,
)
from fastapi_baseline.caching.registry import Registry, namespace_from
from fastapi_baseline.caching.tags import check_tags, key_of
from fastapi_baseline.errors import ConfigurationError

Per = Literal["caller", "tenant"] | Callable[[Request], Any]
"""Who shares a response: one caller with itself, everybody in a tenant, or everybody for whom a
function, plain or async, returns the same."""
Tags = Sequence[str] | Callable[[Request], Iterable[str]]
"""Names that a response is invalidated by; `{name}` in them is an argument of the function."""
Unless = Callable[[Request], bool | Awaitable[bool]]
KeyBuilder = Callable[..., str | Awaitable[str]]
"""A function with the signature that `FastAPICache` knows."""

MAX_VARY = 16
"""More request headers than any response depends on."""


@dataclass(slots=True, kw_only=True)
class ResponsePolicy:
    """How the responses of one function are kept.

    Raises:
        ConfigurationError: If it is public, and shared by some only.
        InvalidTagError: If a tag or the namespace is none.
    """

    function: Callable[..., Any]
    identity: str
    lifetime: Lifetime = field(default_factory=Lifetime)
    negative_expire: timedelta | None = None
    namespace: str = ""
    tags: Tags = ()
    vary: frozenset[bytes] = frozenset()
    """Request headers that the responses depend on; those that responses name are added."""
    per: Per = "caller"
    is_public: bool = False
    has_flight: bool = True
    unless: Unless | None = None
    key_builder: KeyBuilder | None = None

    def __post_init__(self) -> None:
        if self.is_public and self.per != "caller":
            raise ConfigurationError(
                "What is public is shared by all: leave out `per`, or `public`."
            )
        if not callable(self.tags):
            self.tags = check_tags(self.tags)
        key_of(self.namespace, "")

    def learn(self, names: Iterable[bytes], credentials: Credentials) -> bool:
        """Note which headers a response depends on, and return whether that is news.

        News beyond `MAX_VARY` names are not noted, and stay news.
        """
        known = self.vary if self.is_public else self.vary | credentials.headers
        new = frozenset(names) - known
        if new and len(self.vary) + len(new) <= MAX_VARY:
            self.vary |= new
        return bool(new)

    def vary_with(self, credentials: Credentials) -> frozenset[bytes]:
        """Return the request headers that make a difference, as a response should name them."""
        return self.vary if self.is_public else self.vary | credentials.headers

    def tags_for(self, scope: Scope, arguments: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the tags of the response to a request that the function gets these arguments of.

        Raises:
            InvalidTagError: If one of them is empty, or names an argument that there is not.
        """
        tags = self.tags
        if callable(tags):
            return check_tags(tags(Request(scope)))
        if not tags:
            return ()
        try:
            return check_tags([tag.format_map(arguments) if "{" in tag else tag for tag in tags])
        except KeyError as error:
            raise InvalidTagError(
                f"{self.identity} has no argument {error} for the tags {', '.join(tags)}."
            ) from error

    async def key_for(
        self,
        scope: Scope,
        *,
        credentials: Credentials,
        registry: Registry,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> str:
        """Return the key of the response to a request.

        Raises:
            UnnamedPrincipalError: If the caller cannot be told from others.
        """
        builder = self.key_builder or registry.key_builder
        if builder is None:
            subject: Any = url_of(scope)
        else:
            subject = await self._build(builder, scope, registry=registry, arguments=arguments)
        names, sorted_names = _names_of(self.vary)
        per = self.per
        if callable(per):
            sharers = await _value_for(per, scope)
        else:
            sharers = self._sharers(scope, credentials)
        digest = digest_of(
            self.identity, subject, select_headers(scope, names), sorted_names, sharers
        )
        namespace = self.namespace
        if registry.prefix:
            namespace = namespace_from(registry.prefix, namespace)
        # Both are checked, or made so that they need not be.
        return f"{namespace}:{self.identity}:{digest}"

    def _sharers(self, scope: Scope, credentials: Credentials) -> object:
        """Return what is the same for all who share a response."""
        if self.is_public:
            return None
        if self.per == "tenant":
            current = context.current()
            if current is not None and current.tenant is not None:
                return "tenant", current.tenant
        return caller_of(scope, credentials)

    async def _build(
        self,
        builder: KeyBuilder,
        scope: Scope,
        *,
        registry: Registry,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
    ) -> str:
        args, kwargs = arguments
        built = builder(
            self.function,
            f"{registry.prefix}:{self.namespace}",
            request=Request(scope),
            response=Response(),
            args=args,
            kwargs=kwargs,
        )
        return cast("str", await value_of(built))


@lru_cache(maxsize=1_000)
def _names_of(vary: frozenset[bytes]) -> tuple[frozenset[bytes], list[bytes]]:
    names = vary | {HOST}
    return names, sorted(names)


async def _value_for(per: Callable[[Request], Any], scope: Scope) -> object:
    current = context.current()
    who = await value_of(per(Request(scope)))
    return current.tenant if current else None, text_of(who)


async def value_of(value: Any) -> Any:
    """Return what a function has returned, which may be asynchronous."""
    return await value if inspect.isawaitable(value) else value
