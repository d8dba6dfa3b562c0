import pytest
from starlette.types import Receive, Scope, Send

from fastapi_baseline import context
from fastapi_baseline.caching import Cache, Lifetime
from fastapi_baseline.caching.exchange import Origin, current_exchange
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.plan import Plan
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.refresh import make_again
from fastapi_baseline.caching.site import Site
from fastapi_baseline.testing import ManualClock

ORIGIN = Origin(
    {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "query_string": b"",
        "headers": [(b"authorization", b"ann")],
        "state": {},
    },
    request_id="1",
    tenant="one",
    principal=None,
)


class Application:
    def __init__(self) -> None:
        self.seen: list[object] = []
        cache = Cache(clock=ManualClock())
        self.site = Site(
            app=self.answer,
            cache=cache,
            credentials=Credentials(cache.settings),
            answers_conditions=False,
        )

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        current, exchange = context.current(), current_exchange.get()
        assert current is not None
        assert exchange is not None
        self.seen += [scope["headers"], current.tenant, current.request_id, exchange.is_refresh]
        self.seen.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a"})


async def test_the_request_is_made_again_in_a_context_of_its_own() -> None:
    application = Application()

    made = await make_again(application.site, ORIGIN, key=":a")

    assert made is None
    assert application.seen == [
        [(b"authorization", b"ann")],
        "one",
        "1",
        True,
        {"type": "http.request", "body": b"", "more_body": False},
    ]
    assert (context.current(), current_exchange.get()) == (None, None)


async def test_what_it_raises_is_for_whoever_has_asked() -> None:
    application = Application()

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("it fails")

    site = Site(
        app=fail,
        cache=application.site.cache,
        credentials=application.site.credentials,
        answers_conditions=False,
    )

    with pytest.raises(RuntimeError, match="it fails"):
        await make_again(site, ORIGIN, key=":a")

    assert (context.current(), current_exchange.get()) == (None, None)


@pytest.mark.parametrize(("found", "is_made"), [(":a", True), (":b", False)])
async def test_what_is_made_for_another_key_is_not_for_those_who_were_given_the_stale_one(
    found: str, *, is_made: bool
) -> None:
    cache = Cache(clock=ManualClock())

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = current_exchange.get()
        assert exchange is not None
        exchange.plan(
            Plan(
                key=found,
                policy=ResponsePolicy(function=answer, identity="answer"),
                lifetime=Lifetime(),
                tags=(),
                reason="stale",
                started_at=0.0,
            )
        )
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a"})

    site = Site(
        app=answer,
        cache=cache,
        credentials=Credentials(cache.settings),
        answers_conditions=False,
    )

    made = await make_again(site, ORIGIN, key=":a")

    assert (made is not None) is is_made
    assert cache.find_fresh_local(":a") is None
