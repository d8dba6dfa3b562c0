from datetime import timedelta

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.declarations import PolicyDefaults
from fastapi_baseline.rate_limiting.policies import Quota, parse_quotas
from fastapi_baseline.rate_limiting.rules import make_policies, read_policies

DEFAULTS = PolicyDefaults()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("100/minute", ["100-per-minute"]),
        ("5 per 2 hours; 1/second", ["5-per-2-hours", "1-per-second"]),
        ("5/second; 5/second", ["5-per-second", "5-per-second-5"]),
        ("1/month; 1/year; 1/day", ["1-per-month", "1-per-year", "1-per-day"]),
    ],
)
def test_a_policy_is_called_by_its_quota(text: str, names: list[str]) -> None:
    policies = make_policies(parse_quotas(text), defaults=DEFAULTS)

    assert [policy.name for policy in policies] == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("100/minute", ["reads"]),
        ("100/minute; 5/hour", ["reads-minute", "reads-hour"]),
        ("100/minute; 5/minute", ["reads-minute", "reads-minute-5"]),
    ],
)
def test_a_name_gets_the_period_if_there_are_several(text: str, names: list[str]) -> None:
    policies = make_policies(parse_quotas(text), defaults=DEFAULTS, name="reads")

    assert [policy.name for policy in policies] == names


def test_a_name_is_made_such_as_a_header_can_have_it() -> None:
    (policy,) = make_policies(parse_quotas("1/day"), defaults=DEFAULTS, name='é "x"\n')

    assert policy.name == "_ _x__"


def test_a_burst_is_for_gcra_whatever_the_defaults_say() -> None:
    defaults = PolicyDefaults(strategy="fixed-window", failure_mode="open", shadow=True)

    plain, burst = (
        make_policies(parse_quotas("9/day"), defaults=defaults, burst=size)[0] for size in (None, 3)
    )

    assert (plain.strategy, plain.failure_mode, plain.shadow) == ("fixed-window", "open", True)
    assert (burst.strategy, burst.burst) == ("gcra", 3)


def test_values_that_no_limit_has_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="A burst is at least 1"):
        make_policies([Quota(1, timedelta(1))], defaults=DEFAULTS, burst=0)


def test_settings_that_are_not_understood_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="The limit address is not understood: 'many'"):
        read_policies(["1/day", "many"], name="address", defaults=DEFAULTS)


def test_several_texts_of_the_settings_are_several_policies() -> None:
    policies = read_policies(["1/second", "9/day"], name="address", defaults=DEFAULTS)

    assert [policy.name for policy in policies] == ["address-second", "address-day"]
