import logging
from types import SimpleNamespace
from typing import Any

import pytest
import slowapi
from slowapi.wrappers import LimitGroup
from starlette.requests import Request

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting import Limiter
from fastapi_baseline.rate_limiting.adoption import (
    GROUP_ATTRIBUTES,
    LIMIT_ATTRIBUTES,
    LIMITER_ATTRIBUTES,
    adopt,
    check_upstream,
)
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults


def get_key(request: Request) -> str:
    return "key"


def stock(**options: Any) -> Any:
    return slowapi.Limiter(key_func=get_key, **options)


async def limited(request: Request) -> None:
    """Do nothing."""


def test_what_is_read_of_slowapi_is_there() -> None:
    group = LimitGroup("1/minute", get_key, None, False, None, None, None, 1, False)

    check_upstream([(stock(), LIMITER_ATTRIBUTES), (group, GROUP_ATTRIBUTES)])
    check_upstream((one, LIMIT_ATTRIBUTES) for one in group)


def test_another_version_of_slowapi_is_refused_with_what_it_lacks() -> None:
    changed = SimpleNamespace(enabled=True)

    with pytest.raises(ConfigurationError, match="no _route_limits"):
        check_upstream([(changed, ("enabled", "_route_limits"))])


def test_the_engine_of_a_limiter_is_switched_off_once(caplog: pytest.LogCaptureFixture) -> None:
    limiter = stock()

    with caplog.at_level(logging.INFO):
        first, second = adopt(limiter), adopt(limiter)

    assert limiter.enabled is False
    assert first is second
    assert len(caplog.records) == 1


def test_a_limiter_of_ours_stays_on() -> None:
    limiter = Limiter(default_limits=["1/minute"])

    adopted = adopt(limiter)

    assert limiter.enabled is True
    assert list(adopted.defaults) == limiter.defaults


def test_defaults_of_the_settings_hold_where_a_limiter_has_none() -> None:
    assert [one.provider for one in adopt(stock(), defaults=["5/day"]).defaults] == ["5/day"]
    own = adopt(stock(default_limits=["1/day"]), defaults=["5/day"]).defaults
    assert [one.provider for one in own] == ["1/day"]


def test_takes_over_what_was_declared_for_a_name() -> None:
    limiter = stock(key_prefix="mine:")
    limiter.limit("5/minute;1/second", cost=2, methods=["get"], error_message="No.")(limited)
    limiter.limit("5/minute;1/second", cost=2, methods=["get"], error_message="No.")(limited)
    limiter.limit(lambda: "9/day")(limited)

    declared = adopt(limiter).find_declarations(limited)

    assert [one.provider for one in declared[:-1]] == ["5 per 1 minute", "1 per 1 second"]
    assert {one.methods for one in declared[:-1]} == {frozenset({"GET"})}
    assert {(one.cost, one.prefix) for one in declared[:-1]} == {(2, "mine:")}
    assert callable(declared[-1].provider)


def test_knows_which_functions_are_exempt() -> None:
    limiter = stock()
    limiter.exempt(limited)

    adopted = adopt(limiter)

    assert adopted.is_exempt(limited)
    assert not adopted.is_exempt(get_key)
    assert not adopted.is_exempt(object())


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, None),
        ({"swallow_errors": True}, "open"),
        ({"swallow_errors": True, "in_memory_fallback_enabled": True}, "local"),
    ],
)
def test_what_holds_in_an_outage_is_what_was_said(
    options: dict[str, bool], mode: str | None
) -> None:
    limiter = stock(default_limits=["1/minute"], **options)

    (declared,) = adopt(limiter).defaults

    (rule,) = declared.read("1/minute", PolicyDefaults(failure_mode="closed"))
    assert rule.policy.failure_mode == (mode or "closed")
