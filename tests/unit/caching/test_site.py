from datetime import timedelta

import pytest
from starlette.types import Receive, Scope, Send

from fastapi_baseline.caching import Cache
from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.site import Site
from fastapi_baseline.settings import CacheSettings
from fastapi_baseline.testing import ManualClock


async def app(scope: Scope, receive: Receive, send: Send) -> None: ...


def site(clock: ManualClock, settings: CacheSettings) -> Site:
    cache = Cache(clock=clock, settings=settings)
    return Site(app=app, cache=cache, credentials=Credentials(settings), answers_conditions=False)


def test_the_moment_is_that_of_the_clock() -> None:
    clock = ManualClock()
    one = site(clock, CacheSettings())
    before = one.now()

    clock.advance(timedelta(seconds=5))

    assert one.now() - before == 5


@pytest.mark.parametrize(("debug", "shown"), [(True, "key"), (False, None)])
def test_a_key_is_shown_only_if_the_settings_say_so(shown: str | None, *, debug: bool) -> None:
    one = site(ManualClock(), CacheSettings(debug_keys=debug))

    assert one.shown("key") == shown
