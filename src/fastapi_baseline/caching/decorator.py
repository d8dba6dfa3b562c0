"""What a route says so that its responses are kept and given again."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from functools import partial, wraps
from typing import Any, TypeVar, cast

from anyio import from_thread

from fastapi_baseline.caching.exchange import current_exchange
from fastapi_baseline.caching.freshness import Lifetime
from fastapi_baseline.caching.keys import identity_of
from fastapi_baseline.caching.lookup import answer
from fastapi_baseline.caching.policy import KeyBuilder, Per, ResponsePolicy, Tags, Unless
from fastapi_baseline.caching.registry import namespace_from
from fastapi_baseline.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])

Duration = timedelta | float
"""A duration; a number is of seconds, as `@cache` of fastapi-cache2 has it."""


def cached(
    expire: Duration | None = None,
    *,
    namespace: str = "",
    tags: Tags = (),
    vary: Iterable[str] = (),
    stale: Duration | None = None,
    stale_if_error: Duration | None = None,
    negative_expire: Duration | None = None,
    per: Per = "caller",
    public: bool = False,
    lock: bool = True,
    jitter: float | None = None,
    unless: Unless | None = None,
    key_builder: KeyBuilder | None = None,
    coder: object = None,
) -> Callable[[F], F]:
    """Keep the responses of a route for `expire`, and give them again.

        @router.get("/orders/{order_id}")
        @cached(timedelta(minutes=5), tags=["orders", "order:{order_id}"])
        async def get_order(order_id: int) -> Order: ...

    What is kept is what was sent, after the response model has left out what it leaves out. It is
    given after the dependencies of the route, and only to who has the same credentials, principal
    and tenant. `per="tenant"` shares it in a tenant, and a function of the request with all for
    whom it returns the same. `public=True` is for what everybody may see: clients and proxies may
    keep it, too, and requests for it do not come to the dependencies of the route any more.

    It is given for `stale` more while it is made anew in the background, by the same request, and
    for `stale_if_error` more if that fails. A 404 or 410 is kept for `negative_expire`, if at all.
    `tags` are filled with arguments of the function; `vary` names request headers; `unless` says
    when to leave the cache out. With a `lock`, one of those who ask at once makes it for all. A
    `key_builder` takes the place of the URL, and not of who may share it. Bytes need no `coder`.

    Raises:
        ConfigurationError: If something of this makes no sense, or the function is a generator.
    """
    del coder
    make = partial(
        ResponsePolicy,
        lifetime=_lifetime(expire, stale=stale, stale_if_error=stale_if_error, jitter=jitter),
        negative_expire=_duration("negative_expire", negative_expire),
        namespace=namespace_from(namespace),
        tags=tags,
        vary=frozenset(name.lower().encode("latin-1") for name in vary),
        per=per,
        is_public=public,
        has_flight=lock,
        unless=unless,
        key_builder=key_builder,
    )
    return lambda function: _decorate(function, make)


def _decorate(function: F, make: Callable[..., ResponsePolicy]) -> F:
    identity = identity_of(function)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(
            f"{identity} streams what it yields, and nobody knows when that ends; its responses "
            "cannot be kept."
        )
    policy = make(function=function, identity=identity)
    if any(map(inspect.iscoroutinefunction, (function, inspect.unwrap(function)))):
        return cast("F", _wrap_coroutine(function, policy))
    return cast("F", _wrap_plain(function, policy))


def _wrap_coroutine(
    function: Callable[..., Awaitable[Any]], policy: ResponsePolicy
) -> Callable[..., Any]:
    @wraps(function)
    async def answer_request(*args: Any, **kwargs: Any) -> Any:
        exchange = current_exchange.get()
        if exchange is not None and exchange.take(answer_request):
            response = await answer(policy, exchange, arguments=(args, kwargs))
            if response is not None:
                return response
        return await function(*args, **kwargs)

    return answer_request


def _wrap_plain(function: Callable[..., Any], policy: ResponsePolicy) -> Callable[..., Any]:
    """Return a function that is plain, too: it is called in a thread, as without this."""

    @wraps(function)
    def answer_request(*args: Any, **kwargs: Any) -> Any:
        exchange = current_exchange.get()
        if exchange is not None and not _is_in_loop() and exchange.take(answer_request):
            response = from_thread.run(partial(answer, policy, exchange, arguments=(args, kwargs)))
            if response is not None:
                return response
        return function(*args, **kwargs)

    return answer_request


def _is_in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _lifetime(
    expire: Duration | None,
    *,
    stale: Duration | None,
    stale_if_error: Duration | None,
    jitter: float | None,
) -> Lifetime:
    return Lifetime(
        expire=_duration("expire", expire),
        stale=_duration("stale", stale),
        stale_if_error=_duration("stale_if_error", stale_if_error),
        jitter=jitter,
    )


def _duration(name: str, value: Duration | None) -> timedelta | None:
    if value is None:
        return None
    duration = value if isinstance(value, timedelta) else timedelta(seconds=value)
    if duration <= timedelta(0):
        raise ConfigurationError(f"{name} must be more than nothing: {value!r}")
    return duration
