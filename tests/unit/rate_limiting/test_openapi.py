from copy import deepcopy
from datetime import timedelta
from typing import Any

from fastapi_baseline.rate_limiting.openapi import LimitedOperation, document_rate_limits
from fastapi_baseline.rate_limiting.policies import QuotaPolicy

POLICY = QuotaPolicy(name="reads", quota=5, window=timedelta(minutes=1), burst=9)
SHADOW = QuotaPolicy(name="tried", quota=5, window=timedelta(minutes=1), shadow=True)


def document_with(**responses: Any) -> dict[str, Any]:
    return {"paths": {"/a": {"get": {"responses": responses}, "post": {}}}}


def describe(document: dict[str, Any], *policies: QuotaPolicy, draft: bool = True) -> Any:
    limited = LimitedOperation("/a", {"GET"}, policies)
    document_rate_limits(document, [limited], draft=draft)
    return document["paths"]["/a"]["get"]


def test_says_what_is_answered_and_which_limits_there_are() -> None:
    operation = describe(document_with(**{"200": {"description": "Done"}}), POLICY, SHADOW)

    assert operation["x-rate-limits"] == [{"name": "reads", "quota": 5, "window": 60, "burst": 9}]
    refusal = operation["responses"]["429"]
    example = refusal["content"]["application/problem+json"]["examples"]["quota_exceeded"]
    assert example["value"]["violated-policies"] == ["reads"]
    assert {"RateLimit", "RateLimit-Policy", "Retry-After"} == refusal["headers"].keys()
    assert {"RateLimit", "RateLimit-Policy"} == operation["responses"]["200"]["headers"].keys()


def test_doing_it_twice_changes_nothing() -> None:
    document = document_with(**{"200": {"description": "Done"}})
    describe(document, POLICY)
    once = deepcopy(document)

    describe(document, POLICY)

    assert document == once


def test_what_an_operation_says_itself_stays() -> None:
    operation = describe(
        document_with(**{"429": {"description": "Mine"}, "4XX": {"$ref": "#/x"}}), POLICY
    )

    assert operation["responses"]["429"]["description"] == "Mine"
    assert operation["responses"]["4XX"] == {"$ref": "#/x"}


def test_other_operations_and_headers_that_are_not_sent_are_left_out() -> None:
    document = document_with(**{"200": {"description": "Done"}})

    operation = describe(document, POLICY, draft=False)

    assert document["paths"]["/a"]["post"] == {}
    assert "headers" not in operation["responses"]["200"]


def test_a_limit_that_only_the_request_knows_is_not_listed() -> None:
    operation = describe(document_with())

    assert "x-rate-limits" not in operation
    assert "429" in operation["responses"]
