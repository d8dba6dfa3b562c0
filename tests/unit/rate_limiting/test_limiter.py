import inspect
import json
import logging
import subprocess
import sys

import pytest
import slowapi
from slowapi.errors import RateLimitExceeded

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting import Limiter, QuotaExceededError, RateLimiter
from fastapi_baseline.rate_limiting.declarations import Declaration, PolicyDefaults, declarations_of
from fastapi_baseline.rate_limiting.policies import QuotaPolicy


def policies_of(declaration: Declaration, defaults: PolicyDefaults) -> list[QuotaPolicy]:
    assert isinstance(declaration.provider, str)
    return [rule.policy for rule in declaration.read(declaration.provider, defaults)]


def handler() -> None:
    """Do nothing."""


@pytest.mark.parametrize("name", ["__init__", "limit", "shared_limit", "exempt"])
def test_whatever_slowapi_takes_is_taken(name: str) -> None:
    theirs = inspect.signature(getattr(slowapi.Limiter, name)).parameters
    ours = inspect.signature(getattr(RateLimiter, name)).parameters

    assert set(theirs) <= set(ours)
    positional = [one.name for one in ours.values() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional == list(theirs)[: len(positional)]


def test_a_limiter_is_one_of_slowapi() -> None:
    assert issubclass(Limiter, slowapi.Limiter)
    assert issubclass(QuotaExceededError, RateLimitExceeded)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("fixed-window", "fixed-window"),
        ("moving-window", "sliding-window"),
        ("sliding-window-counter", "sliding-window"),
        ("gcra", "gcra"),
        (None, "sliding-window"),
    ],
)
def test_strategies_have_the_names_of_slowapi(theirs: str | None, ours: str) -> None:
    limiter = Limiter(default_limits=["1/minute"], strategy=theirs)

    (policy,) = policies_of(limiter.defaults[0], PolicyDefaults(strategy="sliding-window"))

    assert policy.strategy == ours


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose one of gcra"):
        Limiter(strategy="leaky")


def test_what_a_limit_says_itself_comes_before_what_a_limiter_and_the_settings_say() -> None:
    limiter = Limiter(strategy="fixed-window", swallow_errors=True)
    limiter.limit("1/minute", strategy="gcra", failure_mode="closed", name="x")(handler)
    limiter.limit("1/minute", shadow=True)(handler)

    (own,), (other,) = (policies_of(one, PolicyDefaults()) for one in declarations_of(handler)[-2:])

    assert (own.strategy, own.failure_mode, own.shadow, own.name) == ("gcra", "closed", False, "x")
    assert (other.strategy, other.failure_mode, other.shadow) == ("fixed-window", "open", True)


def test_several_defaults_have_names_of_their_own() -> None:
    limiter = Limiter(default_limits=["1/second", "9/day"], application_limits=["5/hour"])

    names = [
        policy.name
        for declaration in (*limiter.defaults, *limiter.application)
        for policy in policies_of(declaration, PolicyDefaults())
    ]

    assert names == ["default-1", "default-2", "application"]


def test_says_that_redis_is_named_elsewhere(caplog: pytest.LogCaptureFixture) -> None:
    Limiter(storage_uri="memory://")
    Limiter(storage_uri="redis://:secret@host/0")

    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "secret" not in caplog.text


def test_values_that_no_limit_has_are_refused_where_they_are_declared() -> None:
    with pytest.raises(ConfigurationError):
        Limiter().limit("5/minute", burst=0)
    with pytest.raises(ConfigurationError):
        Limiter().concurrent(0)


def test_limits_of_settings_alone_need_no_slowapi() -> None:
    program = """
import json, sys
from fastapi_baseline import Settings, create_app
from fastapi_baseline.settings import RateLimitSettings

create_app(Settings(environment="test", rate_limits=RateLimitSettings(per_address=("1/day",))))
print(json.dumps(sorted(sys.modules)))
"""
    output = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, check=True, text=True
    ).stdout

    assert not {"slowapi", "limits", "redis"} & set(json.loads(output))
