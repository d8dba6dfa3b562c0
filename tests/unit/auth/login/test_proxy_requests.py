from typing import Any

import pytest
from starlette.requests import Request

from fastapi_baseline.auth.login.proxy_requests import Target, is_header, read_target
from fastapi_baseline.auth.login.session_errors import ProxyPathError


def make(path: str, raw: bytes | None, query: bytes = b"") -> Request:
    scope: dict[str, Any] = {"type": "http", "path": path, "query_string": query, "headers": []}
    if raw is not None:
        scope["raw_path"] = raw
    return Request(scope)


@pytest.mark.parametrize(
    ("raw", "query"), [(b"/x/orders/a%20b/7", b"c=d"), (b"/x/orders/a%20b/7?c=d", b"c=d")]
)
def test_reads_the_rest_of_a_path_wherever_the_router_is(raw: bytes, query: bytes) -> None:
    request = make("/x/orders/a b/7", raw, query)

    assert read_target(request, "a b/7") == Target(b"/a%20b/7?c=d", b"/x/orders")


def test_reads_that_there_is_no_rest() -> None:
    request = make("/orders", b"/orders", b"a")

    assert read_target(request, None) == Target(b"?a", b"/orders")


def test_sends_on_a_plain_path_without_the_bytes_that_came() -> None:
    assert read_target(make("/orders/7", None), "7").rest == b"/7"
    with pytest.raises(ProxyPathError):
        read_target(make("/orders/a b", None), "a b")


@pytest.mark.parametrize(
    ("path", "raw"),
    [("/orders/7", b"/orders/8"), ("/orders/7", b"/7"), ("/orders/a/b", b"/orders/a%2Fb")],
)
def test_b26_refuses_bytes_that_are_another_path(path: str, raw: bytes) -> None:
    request = make(path, raw)

    with pytest.raises(ProxyPathError):
        # The rest is what follows `/orders/`; `/7` has no place for it.
        read_target(request, path.removeprefix("/orders/") if raw != b"/7" else "7/")


@pytest.mark.parametrize("name", ["cookie", "host", "te", "transfer-encoding", "a b", "", "é"])
def test_b26_some_headers_are_not_sent_on(name: str) -> None:
    assert not is_header(name)
    assert is_header("x-tenant")
