import base64
import hashlib
import logging
import re
from collections.abc import Mapping
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from starlette.requests import Request

from fastapi_baseline import ConfigurationError, Settings
from fastapi_baseline.auth.dependencies import AROUND
from fastapi_baseline.auth.pages import PageName, Pages, make_pages
from fastapi_baseline.auth.sessions import SessionsUnavailableError
from fastapi_baseline.errors import BaselineError, NotFoundError, TooManyRequestsError
from fastapi_baseline.settings.auth import AuthSettings, PageSettings

PAGES = Pages(title="Shop & Co")
HOSTILE = "\"><script>alert(1)</script>'{{ 7 * 7 }}"
VALUES: Mapping[PageName, Mapping[str, Any]] = {
    "consent": {
        "action": "/oauth2/interactions/1",
        "client_name": "Printer",
        "destination": "printer.example.com",
        "fields": {"id": "1"},
        "form_token": "token",
        "scopes": ["See who you are", "Read your orders"],
        "user": "ann@example.com",
    },
    "error": {
        "code": "invalid_request",
        "continue_url": "/",
        "message": "It is not valid.",
        "request_id": "r-1",
    },
    "second_factor": {
        "action": "/sign-in/code",
        "error": "No.",
        "form_token": "t",
        "return_to": "/a",
    },
    "sign_in": {
        "action": "/sign-in",
        "email": "ann@example.com",
        "error": "No.",
        "form_token": "t",
        "return_to": "/a",
    },
    "sign_out": {
        "action": "/oauth2/end-session",
        "client_name": "Printer",
        "fields": {"id": "1"},
        "form_token": "t",
        "user": "ann@example.com",
    },
    "signed_out": {"continue_url": "/sign-in"},
}
NAMES = get_args(PageName)


class Markup(HTMLParser):
    """What is in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def one(self, tag: str, **wanted: str) -> dict[str, str | None]:
        (found,) = (one for one in self.all(tag) if wanted.items() <= one.items())
        return found


def show(name: PageName, **values: Any) -> str:
    return bytes(PAGES.render(name, **{**VALUES[name], **values}).body).decode()


def policy_of(**options: Any) -> dict[str, str]:
    response = PAGES.render("signed_out", **options)
    parts = response.headers["content-security-policy"].split("; ")
    return {part.split(" ", 1)[0]: part.split(" ", 1)[1] for part in parts}


def test_every_page_has_values_here() -> None:
    assert set(NAMES) == set(VALUES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_its_language_its_title_and_one_heading(name: PageName) -> None:
    text = show(name)

    markup = Markup(text)
    (title,) = re.findall(r"<title>(.*?)</title>", text)
    (heading,) = re.findall(r"<h1>(.*?)</h1>", text)
    assert markup.one("html")["lang"] == "en"
    assert len(markup.all("main")) == 1
    assert title.removeprefix("Error: ") == f"{heading} \N{EN DASH} Shop &amp; Co"
    assert markup.one("meta", name="viewport")["content"] == "width=device-width, initial-scale=1"


@pytest.mark.parametrize("name", NAMES)
def test_every_field_has_a_label(name: PageName) -> None:
    markup = Markup(show(name))

    fields = {one["id"] for one in markup.all("input") if one["type"] != "hidden"}
    assert fields == {one["for"] for one in markup.all("label")}


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_no_script_and_nothing_from_elsewhere(name: PageName) -> None:
    markup = Markup(show(name))

    attributes = [key for _, one in markup.elements for key in one]
    addresses = [
        one.get(key) or ""
        for _, one in markup.elements
        for key in ("src", "href", "action", "srcset", "data", "formaction", "poster")
    ]
    assert markup.all("script") == []
    assert [key for key in attributes if key.startswith("on") or key == "style"] == []
    assert [one for one in addresses if ":" in one.replace("data:,", "") or "//" in one] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_small(name: PageName) -> None:
    assert len(show(name).encode()) < 15_000 / 2


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_cannot_become_markup(name: PageName) -> None:
    def hostile(value: Any) -> Any:
        if isinstance(value, str):
            return HOSTILE
        return [HOSTILE] if isinstance(value, list) else {HOSTILE: HOSTILE}

    text = show(name, **{key: hostile(value) for key, value in VALUES[name].items()})

    assert "<script" not in text
    assert "49" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)
    assert len(Markup(text).elements) == len(Markup(show(name)).elements) - (
        len(VALUES[name].get("scopes", [""])) - 1
    )


def test_what_the_service_is_called_cannot_become_markup() -> None:
    pages = Pages(title="<script>")

    assert b"<script" not in pages.render("signed_out").body


def test_fields_say_what_browsers_may_fill_in() -> None:
    sign_in, code = Markup(show("sign_in")), Markup(show("second_factor"))

    assert sign_in.one("input", name="email")["autocomplete"] == "username"
    assert sign_in.one("input", name="password")["autocomplete"] == "current-password"
    assert code.one("input", name="code")["autocomplete"] == "one-time-code"


@pytest.mark.parametrize(
    ("name", "field"), [("sign_in", "email"), ("sign_in", "password"), ("second_factor", "code")]
)
def test_a_refusal_is_announced_and_belongs_to_its_fields(name: PageName, field: str) -> None:
    text = show(name, error="That was wrong.")

    markup = Markup(text)
    alert = markup.one("div", role="alert")
    found = markup.one("input", name=field)
    assert "<title>Error: " in text
    assert "That was wrong." in text
    assert found["aria-invalid"] == "true"
    assert alert["id"] in (found["aria-describedby"] or "").split()


@pytest.mark.parametrize("name", ["sign_in", "second_factor"])
def test_a_first_look_announces_nothing(name: PageName) -> None:
    text = show(name, error=None)

    assert Markup(text).all("div") == []
    assert "Error" not in text
    assert "aria-invalid" not in text.replace("[aria-invalid=true]", "")


@pytest.mark.parametrize(
    ("name", "decisions"), [("consent", ["allow", "deny"]), ("sign_out", ["sign_out", "stay"])]
)
def test_a_question_has_two_answers(name: PageName, decisions: list[str]) -> None:
    markup = Markup(show(name))

    buttons = markup.all("button")
    assert [one["value"] for one in buttons] == decisions
    assert {one["name"] for one in buttons} == {"decision"}
    assert markup.one("input", name="id")["value"] == "1"


def test_the_only_style_is_the_one_that_the_policy_names() -> None:
    response = PAGES.render("signed_out")

    (style,) = re.findall(r"<style>(.*?)</style>", bytes(response.body).decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy_of()["style-src"] == f"'sha256-{digest}'"


def test_the_policy_allows_nothing_else() -> None:
    policy = policy_of()

    del policy["style-src"]
    assert policy == {
        "default-src": "'none'",
        "img-src": "data:",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_kept_nowhere_framed_nowhere_and_guessed_at_by_nobody(name: PageName) -> None:
    headers = PAGES.render(name, **VALUES[name]).headers

    assert headers["cache-control"] == "no-store"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-type"] == "text/html; charset=utf-8"


def test_only_pages_with_forms_tell_the_service_where_one_comes_from() -> None:
    with_form = PAGES.render("sign_in", **VALUES["sign_in"])
    without = PAGES.render("signed_out")

    assert with_form.headers["referrer-policy"] == "same-origin"
    assert without.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("https://app.example.com/callback?a=b#c", "https://app.example.com"),
        ("https://APP.example.com:8443/", "https://app.example.com:8443"),
        ("http://127.0.0.1:50123/callback", "http://127.0.0.1:50123"),
        ("http://[::1]:50123/callback", "http:"),
        ("com.example.app:/callback", "com.example.app:"),
        ("com.example.app:", "com.example.app:"),
    ],
)
def test_a_form_may_end_where_it_is_said_to(url: str, source: str) -> None:
    assert policy_of(form_targets=[url, url])["form-action"] == f"'self' {source}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/callback",
        "https:",
        "https://*",
        "https://*.example.com/",
        "https://a@example.com/",
        "https://example.com;script-src *",
        "https://example.com /",
        "https://example.com:port/",
        "a b:/callback",
    ],
)
def test_what_is_no_target_does_not_get_into_the_policy(url: str) -> None:
    with pytest.raises(ConfigurationError):
        policy_of(form_targets=[url])


def test_refuses_to_show_a_page_with_a_hole() -> None:
    with pytest.raises(ConfigurationError, match="sign_in"):
        PAGES.render("sign_in")


def test_an_error_has_a_page_with_its_status_and_its_headers() -> None:
    error = TooManyRequestsError(retry_after=timedelta(seconds=1.5))

    response = PAGES.render_error(error, continue_url="/again", continue_label="Try again")

    text = bytes(response.body).decode()
    assert response.status_code == 429
    assert response.headers["retry-after"] == "2"
    assert "Too many requests." in text
    assert "too_many_requests" in text
    assert '<a href="/again">Try again</a>' in text


def test_an_error_page_leads_nowhere_by_itself() -> None:
    response = PAGES.render_error(NotFoundError())

    assert response.status_code == 404
    assert Markup(bytes(response.body).decode()).all("a") == []


def test_what_is_not_the_askers_fault_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        PAGES.render_error(NotFoundError())
        PAGES.render_error(SessionsUnavailableError())

    (record,) = caplog.records
    assert record.getMessage().startswith("Sessions cannot be checked at the moment.: ")


def test_an_error_page_says_nothing_of_a_defect() -> None:
    response = PAGES.render_error(BaselineError("The database is at 10.0.0.1."))

    assert response.status_code == 500
    assert b"10.0.0.1" not in response.body


@pytest.mark.parametrize(("title", "shown"), [(None, b"shop-service"), ("The Shop", b"The Shop")])
def test_the_service_is_called_what_its_settings_say(title: str | None, shown: bytes) -> None:
    settings = Settings(
        environment="test",
        service_name="shop-service",
        auth=AuthSettings(pages=PageSettings(title=title)),
    )

    assert shown in make_pages(settings).render("signed_out").body


def test_an_application_has_its_pages() -> None:
    app = FastAPI()
    app.state.pages = PAGES

    assert Pages.of(Request({"type": "http", "app": app, "headers": []})) is PAGES


def test_an_application_that_is_mounted_has_those_of_the_one_around() -> None:
    app, around = FastAPI(), FastAPI()
    around.state.pages = PAGES
    setattr(app.state, AROUND, around)

    assert Pages.of(Request({"type": "http", "app": app, "headers": []})) is PAGES


def test_an_application_without_pages_is_told_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="AUTH__SERVER__ENABLED"):
        Pages.of(Request({"type": "http", "app": FastAPI(), "headers": []}))
