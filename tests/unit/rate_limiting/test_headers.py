from datetime import timedelta

import pytest

from fastapi_baseline.rate_limiting.concurrency import ConcurrencyDecision, ConcurrencyPolicy
from fastapi_baseline.rate_limiting.decisions import Decision, PolicyOutcome, Source
from fastapi_baseline.rate_limiting.headers import LimitHeaders, RawHeaders
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.testing import ManualClock

ZERO = timedelta(0)


def outcome(
    name: str = "reads",
    *,
    wait: float = 0,
    remaining: int = 9,
    reset: float = 6,
    shadow: bool = False,
) -> PolicyOutcome:
    policy = QuotaPolicy(name=name, quota=10, window=timedelta(minutes=1), shadow=shadow)
    return PolicyOutcome(
        policy, not wait, remaining, timedelta(seconds=reset), timedelta(seconds=wait)
    )


def decision(*outcomes: PolicyOutcome, source: Source = "local") -> Decision:
    waits = [one.retry_after for one in outcomes if not one.policy.shadow]
    retry_after = max(waits, default=ZERO)
    return Decision(not retry_after, outcomes, retry_after, source)


def headers_of(
    *decisions: Decision,
    status: int = 200,
    draft: bool = True,
    legacy: bool = False,
    before: RawHeaders | None = None,
    places: tuple[ConcurrencyDecision, ...] = (),
) -> dict[str, str]:
    headers = list(before or [])
    maker = LimitHeaders(draft=draft, legacy=legacy, clock=ManualClock())
    maker.add(headers, decisions, status=status, places=places)
    assert len({name for name, _ in headers}) == len(headers)
    return {name.decode(): value.decode() for name, value in headers}


def test_tells_what_is_left_and_until_when() -> None:
    assert headers_of(decision(outcome(remaining=9, reset=5.2))) == {
        "ratelimit-policy": '"reads";q=10;w=60',
        "ratelimit": '"reads";r=9;t=6',
    }


def test_tells_policies_of_several_decisions_by_different_names() -> None:
    headers = headers_of(decision(outcome("a")), decision(outcome("a"), outcome("b")))

    assert headers["ratelimit"] == '"a";r=9;t=6, "a-2";r=9;t=6, "b";r=9;t=6'


def test_a_name_is_quoted() -> None:
    headers = headers_of(decision(outcome('say "hi" \\ now')))

    assert headers["ratelimit-policy"] == r'"say \"hi\" \\ now";q=10;w=60'


def test_a_refusal_tells_only_what_refuses_and_nothing_later_than_retry_after() -> None:
    refusal = decision(outcome("a", remaining=0, wait=11.1), outcome("b", reset=3600))

    headers = headers_of(refusal, status=429)

    assert headers["retry-after"] == "12"
    assert headers["ratelimit"] == '"a";r=0;t=12'
    assert headers["ratelimit-policy"] == '"a";q=10;w=60, "b";q=10;w=60'


@pytest.mark.parametrize("status", [200, 404, 500])
def test_retry_after_is_only_for_refusals(status: int) -> None:
    headers = headers_of(decision(outcome(wait=1, remaining=0)), status=status)

    assert "retry-after" not in headers


def test_a_retry_after_that_is_there_stays() -> None:
    headers = headers_of(
        decision(outcome(wait=5, remaining=0)), status=429, before=[(b"retry-after", b"9")]
    )

    assert headers["retry-after"] == "9"


def test_limits_in_shadow_mode_are_not_told() -> None:
    assert headers_of(decision(outcome(shadow=True, wait=5, remaining=0))) == {}


def test_nothing_is_told_where_nobody_counts() -> None:
    assert headers_of(decision(outcome(), source="open")) == {}


def test_older_headers_tell_the_tightest_limit_and_a_moment() -> None:
    headers = headers_of(
        decision(outcome("a", remaining=5), outcome("b", remaining=1, reset=30.5)),
        draft=False,
        legacy=True,
    )

    moment = int(ManualClock().now().timestamp())
    assert headers == {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "1",
        "x-ratelimit-reset": str(moment + 31),
    }


def test_tells_how_many_requests_may_run_at_once() -> None:
    policy = ConcurrencyPolicy(name="runs", quota=2)
    place = ConcurrencyDecision(policy, True, 1, ZERO, "local", None)

    assert headers_of(places=(place,)) == {
        "ratelimit-policy": '"runs";q=2;qu="concurrent-requests"',
        "ratelimit": '"runs";r=1',
    }
