from types import SimpleNamespace
from typing import Any

from starlette.types import Scope

from fastapi_baseline.caching.keys import Credentials
from fastapi_baseline.caching.policy import ResponsePolicy
from fastapi_baseline.caching.shortcuts import Shortcuts, asked_by
from fastapi_baseline.settings import CacheSettings

HOST = (b"host", b"shop.example")


def http(*headers: tuple[bytes, bytes], **changes: Any) -> Scope:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/a",
        "root_path": "",
        "query_string": b"",
        "headers": list(headers) or [HOST],
        **changes,
    }


def policy(*vary: bytes) -> ResponsePolicy:
    return ResponsePolicy(function=policy, identity="policy", vary=frozenset(vary), is_public=True)


def noted(shortcuts: Shortcuts, scope: Scope, key: str, *, by: ResponsePolicy) -> None:
    shortcuts.note(asked_by(scope), key, scope=scope, policy=by)


def key_of(shortcuts: Shortcuts, scope: Scope) -> str | None:
    found = shortcuts.find(scope)
    return None if found is None else found[0]


def test_what_was_asked_before_is_known() -> None:
    shortcuts = Shortcuts()
    noted(shortcuts, http(), "key", by=policy())

    assert key_of(shortcuts, http()) == "key"
    assert key_of(shortcuts, http(HOST, (b"accept", b"*/*"))) == "key"


def test_anything_else_is_not() -> None:
    shortcuts = Shortcuts()
    noted(shortcuts, http(), "key", by=policy())

    others = [
        http(path="/b"),
        http(query_string=b"x"),
        http(scheme="https"),
        http(root_path="/api"),
        http((b"host", b"evil.example")),
        http((b"accept", b"*/*")),
    ]

    assert [key_of(shortcuts, scope) for scope in others] == [None] * 6


def test_what_needs_thought_is_left_to_others() -> None:
    shortcuts = Shortcuts()
    noted(shortcuts, http(), "key", by=policy())

    names = (b"cache-control", b"pragma", b"content-length", b"transfer-encoding")

    assert [key_of(shortcuts, http(HOST, (name, b"x"))) for name in names] == [None] * 4


def test_headers_that_make_a_difference_are_compared() -> None:
    shortcuts, by = Shortcuts(), policy(b"accept-language")
    german, french = (
        http(HOST, (b"accept-language", b"de")),
        http(HOST, (b"accept-language", b"fr")),
    )
    noted(shortcuts, german, "german", by=by)
    noted(shortcuts, french, "french", by=by)

    assert key_of(shortcuts, german) == "german"
    assert key_of(shortcuts, french) == "french"
    assert key_of(shortcuts, http()) is None


def test_what_was_known_is_no_longer_if_another_header_makes_a_difference() -> None:
    shortcuts, by = Shortcuts(), policy()
    noted(shortcuts, http(), "key", by=by)

    by.learn({b"accept-language"}, Credentials(CacheSettings()))

    assert key_of(shortcuts, http()) is None


def test_only_so_many_urls_are_known() -> None:
    shortcuts = Shortcuts(max_urls=2)
    for path in ("/a", "/b"):
        noted(shortcuts, http(path=path), path, by=policy())
    shortcuts.find(http(path="/a"))
    noted(shortcuts, http(path="/c"), "/c", by=policy())

    assert [key_of(shortcuts, http(path=path)) for path in ("/a", "/b", "/c")] == ["/a", None, "/c"]


def test_only_so_many_variants_of_one_url_are_known() -> None:
    shortcuts, by = Shortcuts(), policy(b"accept")
    for number in range(1_000):
        noted(shortcuts, http(HOST, (b"accept", b"%d" % number)), str(number), by=by)

    known = [key_of(shortcuts, http(HOST, (b"accept", b"%d" % n))) for n in range(1_000)]

    assert known[-1] == "999"
    assert len([one for one in known if one]) <= 64


def test_a_request_is_marked_with_the_route_that_it_would_have_come_to() -> None:
    shortcuts = Shortcuts()
    effective = object()
    first = http(
        endpoint=policy,
        route="route",
        fastapi={"effective_route_context": effective, "other": 1},
        **{"fastapi.telemetry": SimpleNamespace(route="/{name}")},
    )
    noted(shortcuts, first, "key", by=policy())
    second = http(**{"fastapi.telemetry": SimpleNamespace(route=None)})

    found = shortcuts.find(second)
    assert found is not None
    found[1].mark(second)

    assert (second["endpoint"], second["route"]) == (policy, "route")
    assert second["fastapi"] == {"effective_route_context": effective}
    assert second["fastapi.telemetry"].route == "/{name}"
