"""What OpenAPI says of routes that have limits."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi_baseline.problems import MEDIA_TYPE, PROBLEM_SCHEMA, title_of
from fastapi_baseline.rate_limiting.policies import QuotaPolicy
from fastapi_baseline.rate_limiting.problems import CODE, DETAIL, QUOTA_EXCEEDED

_STATUS = "429"
_RETRY_AFTER: dict[str, Any] = {
    "description": "In how many seconds to try again",
    "schema": {"type": "integer", "minimum": 1},
}
_HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit": {
        "description": "What is left (r) of each limit, and after how many seconds more is (t)",
        "schema": {"type": "string", "examples": ['"default";r=99;t=1']},
    },
    "RateLimit-Policy": {
        "description": "How much (q) may be used in how many seconds (w)",
        "schema": {"type": "string", "examples": ['"default";q=100;w=60']},
    },
}


@dataclass(frozen=True, slots=True)
class LimitedOperation:
    """A route that has limits; those that are another for each request are not among them."""

    path: str
    methods: Collection[str]
    policies: Sequence[QuotaPolicy]


def document_rate_limits(
    document: dict[str, Any], operations: Sequence[LimitedOperation], *, draft: bool
) -> None:
    """Add to an OpenAPI document that limited operations may refuse, and which limits they have.

    What an operation says of its responses itself stays. Doing it twice changes nothing.
    """
    paths: dict[str, Any] = document.get("paths", {})
    for limited in operations:
        for method in limited.methods:
            operation: dict[str, Any] | None = paths.get(limited.path, {}).get(method.lower())
            if operation is not None:
                _describe(operation, limited.policies, draft=draft)


def _describe(operation: dict[str, Any], policies: Sequence[QuotaPolicy], *, draft: bool) -> None:
    responses: dict[str, Any] = operation.setdefault("responses", {})
    refusal: dict[str, Any] = responses.setdefault(_STATUS, {"description": title_of(429)})
    content = refusal.setdefault("content", {}).setdefault(MEDIA_TYPE, {"schema": PROBLEM_SCHEMA})
    content.setdefault("examples", {}).setdefault(
        CODE,
        {
            "summary": DETAIL,
            "value": {
                "type": QUOTA_EXCEEDED,
                "status": 429,
                "code": CODE,
                "detail": DETAIL,
                "violated-policies": [policy.name for policy in policies[:1]],
            },
        },
    )
    refusal.setdefault("headers", {}).setdefault("Retry-After", _RETRY_AFTER)
    if draft:
        for response in responses.values():
            if "$ref" not in response:
                headers = response.setdefault("headers", {})
                for name, header in _HEADERS.items():
                    headers.setdefault(name, header)
    told = [_as_extension(policy) for policy in policies if not policy.shadow]
    if told:
        operation.setdefault("x-rate-limits", told)


def _as_extension(policy: QuotaPolicy) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": policy.name,
        "quota": policy.quota,
        "window": policy.window_us // 1_000_000,
    }
    if policy.burst is not None:
        described["burst"] = policy.burst
    return described
