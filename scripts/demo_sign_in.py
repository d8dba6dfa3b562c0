"""A service with users of its own: they sign in on a page, and programs get tokens of them."""

import base64
import hashlib
import json
import re
import secrets
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, NoReturn

from demo_service import ServiceFolder, free_port, install, migrate, render
from demo_stage import Screen, Service, StepFailedError, exchange

NAME = "club-service"
EMAIL = "ada@example.com"
PASSWORD = "correct horse battery staple 9"  # noqa: S105 -- of a user who lives for some seconds
CLIENT = "club-app"
# Nothing listens there: an app would be told by its system.
REDIRECT_URI = "http://127.0.0.1:49152/callback"
SCOPES = "openid offline_access"


def show_sign_in(screen: Screen, scratch: Path, environment: Path, *, wheelhouse: str) -> None:
    """Show the whole flow with a code and PKCE, and that a code is good once.

    Raises:
        StepFailedError: If something is answered in another way.
    """
    started = time.monotonic()
    screen.title(f"A service that issues tokens itself: {NAME}")
    path = scratch / NAME
    render(screen, path, "auth=builtin")
    install(screen, path, environment, wheelhouse=wheelhouse)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    told = {
        "AUTH__PUBLIC_URL": address,
        "AUTH__USERS__PAGE_URL": address,
        "TMPDIR": str(scratch),
    }
    folder = ServiceFolder(path=path, environment=environment, told=told)
    migrate(screen, folder, message="create users")
    link = _invite(screen, folder)
    _add_client(screen, folder)
    with folder.serve(scratch / "club.log", port=port) as service:
        _choose_password(screen, service, link)
        flow = _Flow(screen, service)
        code = flow.get_code()
        tokens = flow.exchange(code, expected=200)
        _use(screen, service, tokens)
        flow.show_replay(code, tokens)
    screen.title(f"That in {time.monotonic() - started:.0f} seconds.")


def _invite(screen: Screen, folder: ServiceFolder) -> str:
    command = ("auth", "user", "invite", EMAIL, "--role", "editor")
    said = folder.run(*command)
    screen.detail(f"baseline {' '.join(command)}")
    found = re.search(r"#(\w{32,})", said)
    if found is None:
        raise StepFailedError(f"The invitation should have a link: {said}")
    screen.done("Invited a user, who chooses a password by a link")
    return found[1]


def _add_client(screen: Screen, folder: ServiceFolder) -> None:
    command = ("auth", "client", "add", NAME, "--id", CLIENT, "--public")
    options = ["--redirect-uri", REDIRECT_URI]
    options += [part for scope in SCOPES.split() for part in ("--scope", scope)]
    folder.run(*command, *options)
    screen.detail(f"baseline {' '.join((*command, *options))}")
    screen.done("Registered an app, which has no secret")


def _choose_password(screen: Screen, service: Service, token: str) -> None:
    headers = {"X-Requested-With": "demo", "Sec-Fetch-Site": "same-origin"}
    answer = service.ask(
        "POST",
        "/auth/password/reset",
        body={"token": token, "password": PASSWORD},
        headers=headers,
    )
    if answer.status != 200:  # noqa: PLR2004 -- a status
        raise StepFailedError(f"The password was refused: {answer.status} {answer.body}")
    screen.done("The user has a password")


def _use(screen: Screen, service: Service, tokens: Mapping[str, Any]) -> None:
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    exchange(screen, service, ("GET", "/items"), expected=401)
    exchange(screen, service, ("GET", "/items"), headers=bearer, expected=200)
    screen.done("The service accepts its own token, for what its user may do")


@dataclass
class _Page:
    """What a browser is shown: after redirects of the service's own, or where it is sent on."""

    status: int
    text: str
    location: str | None

    def fields(self) -> dict[str, str]:
        """Return what its form sends without being filled in."""
        found: dict[str, str] = {}
        for tag in re.findall(r"<input[^>]*>", self.text):
            name, value = (re.search(rf'\b{key}="([^"]*)"', tag) for key in ("name", "value"))
            if name is not None:
                found[unescape(name[1])] = unescape(value[1]) if value else ""
        return found

    def action(self) -> str:
        found = re.search(r'<form[^>]*\baction="([^"]*)"', self.text)
        if found is None:
            raise StepFailedError(f"A form was expected: {self.status} {self.text[-600:]}")
        return unescape(found[1])


@dataclass
class _Browser:
    """As much of a browser as it takes: cookies, forms, and redirects of one site."""

    address: str
    cookies: dict[str, str] = field(default_factory=dict[str, str])

    def open(self, url: str, form: Mapping[str, str] | None = None) -> _Page:
        while True:
            url = urllib.parse.urljoin(self.address, url)
            if not url.startswith(f"{self.address}/"):
                return _Page(status=0, text="", location=url)
            answer = self._send(url, form)
            for cookie in answer.headers.get_all("Set-Cookie", []):
                name, _, value = cookie.partition(";")[0].partition("=")
                self.cookies[name] = value
            location = answer.headers.get("Location")
            if location is None:
                return _Page(status=answer.status, text=answer.read().decode(), location=None)
            url, form = location, None

    def _send(self, url: str, form: Mapping[str, str] | None) -> HTTPResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": cookies, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        path = url.removeprefix(self.address)
        return _request(self.address, path, form, headers=headers)


def _request(
    address: str,
    path: str,
    form: Mapping[str, str] | None,
    *,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """Get a path, or post a form to it."""
    connection = HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=10)
    sent = dict(headers or {})
    if form is None:
        connection.request("GET", path, headers=sent)
    else:
        sent["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("POST", path, body=urllib.parse.urlencode(form), headers=sent)
    return connection.getresponse()


class _Flow:
    """What an app does to get tokens of a user (RFC 6749, section 4.1; RFC 7636)."""

    def __init__(self, screen: Screen, service: Service) -> None:
        self._screen = screen
        self._service = service
        self._verifier = secrets.token_urlsafe(48)

    def get_code(self) -> str:
        """Sign the user in on the pages, have them agree, and return the code."""
        digest = hashlib.sha256(self._verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": CLIENT,
            "redirect_uri": REDIRECT_URI,
            "scope": SCOPES,
            "state": "from-the-app",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        browser = _Browser(self._service.address)
        path = f"/oauth2/authorize?{urllib.parse.urlencode(query)}"
        page = browser.open(path)
        self._screen.detail(f"GET {path[:90]}…")
        fields = {**page.fields(), "email": EMAIL, "password": "not the password"}
        wrong = browser.open(page.action(), fields)
        if wrong.location is not None or "password" not in wrong.fields():
            self._fail(wrong)
        self._screen.done("A wrong password is refused on the page")
        fields = {**wrong.fields(), "email": EMAIL, "password": PASSWORD}
        consent = browser.open(wrong.action(), fields)
        self._screen.done("The user has signed in, and is asked what the app may do")
        agreed = browser.open(consent.action(), {**consent.fields(), "decision": "allow"})
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(agreed.location or "").query))
        if query.get("state") != "from-the-app" or "code" not in query or "iss" not in query:
            self._fail(agreed)
        self._screen.detail(f"303 {agreed.location}")
        self._screen.done("The app has a code, the state that it sent, and who has issued it")
        return query["code"]

    def exchange(self, code: str, *, expected: int) -> Mapping[str, Any]:
        """Exchange a code for tokens."""
        form = {
            "grant_type": "authorization_code",
            "client_id": CLIENT,
            "redirect_uri": REDIRECT_URI,
            "code": code,
            "code_verifier": self._verifier,
        }
        return self._post(form, expected=expected)

    def show_replay(self, code: str, tokens: Mapping[str, Any]) -> None:
        """Show what happens if somebody comes with the code a second time."""
        refused = self.exchange(code, expected=400)
        self._screen.done(f"The same code again is refused: {refused['error']}")
        form = {
            "grant_type": "refresh_token",
            "client_id": CLIENT,
            "refresh_token": tokens["refresh_token"],
        }
        refused = self._post(form, expected=400)
        self._screen.done(f"And what it was good for has ended: {refused['error']}")

    def _post(self, form: Mapping[str, str], *, expected: int) -> Mapping[str, Any]:
        answer = _request(self._service.address, "/oauth2/token", form)
        body: Mapping[str, Any] = json.loads(answer.read())
        self._screen.detail(f"POST /oauth2/token grant_type={form['grant_type']}")
        self._screen.detail(f"  {answer.status} {', '.join(body)}")
        if answer.status != expected:
            raise StepFailedError(f"The token endpoint answered {answer.status}: {body}")
        return body

    def _fail(self, page: _Page) -> NoReturn:
        raise StepFailedError(f"The pages went another way: {page.status} {page.text[:500]}")
