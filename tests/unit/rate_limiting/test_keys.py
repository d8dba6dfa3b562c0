import pytest
from starlette.requests import HTTPConnection

from fastapi_baseline.context import RequestContext, request_context
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.rate_limiting.keys import (
    UNKNOWN,
    counter_key,
    digest,
    get_caller,
    get_client_address,
    text_of,
)


def request_of(client: tuple[str, int] | None) -> HTTPConnection:
    return HTTPConnection({"type": "http", "client": client, "headers": []})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_an_address_stands_for_what_one_caller_has(host: str, address: str) -> None:
    assert get_client_address(request_of((host, 1))) == address


@pytest.mark.parametrize("client", [None, ("", 0)])
def test_callers_without_an_address_are_one(client: tuple[str, int] | None) -> None:
    assert get_client_address(request_of(client)) == UNKNOWN != "127.0.0.1"


@pytest.mark.parametrize(
    ("principal", "tenant", "caller"),
    [
        (None, "x", "192.0.2.1"),
        ("ann", None, "principal::ann"),
        ("ann", "x", "principal:x:ann"),
        (7, "x", "principal:x:7"),
    ],
)
def test_a_caller_is_a_principal_of_a_tenant_or_else_an_address(
    principal: object, tenant: str | None, caller: str
) -> None:
    context = RequestContext(request_id="x", principal=principal, tenant=tenant)
    token = request_context.set(context)

    try:
        assert get_caller(request_of(("192.0.2.1", 1))) == caller
    finally:
        request_context.reset(token)


def test_an_object_without_a_text_is_no_caller() -> None:
    with pytest.raises(ConfigurationError, match="object has none"):
        text_of(object())


def test_a_key_does_not_tell_its_caller_and_keeps_the_keys_of_one_together() -> None:
    first, second = counter_key("secret", "a"), counter_key("secret", "b")

    assert "secret" not in first
    assert first.partition("}")[0] == second.partition("}")[0] == "{" + digest("secret")
    assert first != second


@pytest.mark.parametrize("text", ["", "a", "\ud800", "x" * 100_000])
def test_a_digest_has_one_size(text: str) -> None:
    assert len(digest(text)) == 16
