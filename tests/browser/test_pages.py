import base64
import hashlib
import shutil
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from httpx2 import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from fastapi_baseline.auth.pages import PageName
from fastapi_baseline.testing import uvicorn_server
from fastapi_baseline.testing.server import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCREENSHOTS = ROOT / "build/screenshots"
# What npm installs is none of the tree's.
SCRATCH = ROOT / ".nox/scratch/peers/browser"
# All that WCAG 2.2 AA asks for and a program can see, and what its authors advise besides.
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")

# 1280 pixels at 400 % (WCAG 2.2, success criterion 1.4.10).
NARROW = 320

ANN = "ann@example.com"
PASSWORD = "correct horse battery staple"
VERIFIER = "a-verifier-of-which-nobody-else-knows-anything-at-all"
NAMES = get_args(PageName)
Theme = Literal["light", "dark"]


@dataclass(frozen=True, slots=True)
class Inn:
    """The service whose pages are looked at, under the one name that its users know it by."""

    url: str

    def __post_init__(self) -> None:
        # `127.0.0.1` is another site to browsers, as a client of somebody else's is.
        assert "localhost" in self.url

    def code(self) -> str:
        """Return the present code of Ben's second factor; each is good once."""
        with Client(base_url=self.url) as client:
            return client.post("/test/code").json()

    def add_client(self, client_id: str, *, site: str) -> None:
        """Add a client that people come back to also when they have signed out."""
        with Client(base_url=self.url) as client:
            values = {"client_id": client_id, "site": site}
            client.post("/test/clients", params=values).raise_for_status()

    def redeem(self, **fields: str) -> dict[str, Any]:
        """Return what a client gets for a code."""
        with Client(base_url=self.url) as client:
            return client.post("/oauth2/token", data=fields).json()


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a client is told when somebody comes back to it."""

    path: str
    values: dict[str, str]


@dataclass(frozen=True, slots=True)
class Site:
    """Another site, with pages that a test writes; whatever else is asked for is a page, too."""

    url: str
    pages: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody's browser, and what it asked for and complained of meanwhile."""

    context: BrowserContext
    requested: list[str]
    complaints: list[str]

    def open(self, url: str) -> Page:
        """Return a new tab."""
        page = self.context.new_page()
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(url)
        return page


Visiting = Callable[..., Visit]
Keep = Callable[[Page, str], list[str]]


@pytest.fixture(scope="session")
def axe() -> str:
    """Give the source of axe-core, in the version that the lock file says."""
    if shutil.which("npm") is None:
        pytest.fail("npm is not on PATH. On Debian: apt-get install nodejs npm")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(HERE / name, SCRATCH / name)
    command = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    subprocess.run(command, cwd=SCRATCH, check=True, timeout=300, capture_output=True)
    return (SCRATCH / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Give the Chromium of this machine."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("chromium is not on PATH. On Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()


@pytest.fixture
def visiting(browser: Browser) -> Generator[Visiting]:
    """Give what opens a browser with cookies of its own."""
    opened: list[BrowserContext] = []

    def visit(*, theme: Theme = "light", width: int = 1280, has_scripts: bool = True) -> Visit:
        context = browser.new_context(
            color_scheme=theme,
            java_script_enabled=has_scripts,
            viewport={"width": width, "height": 900},
        )
        context.set_default_timeout(30_000)
        opened.append(context)
        return Visit(context, requested=[], complaints=[])

    yield visit
    for context in opened:
        context.close()


@pytest.fixture(scope="module")
def inn(tmp_path_factory: pytest.TempPathFactory) -> Generator[Inn]:
    port = free_port()
    url = f"http://localhost:{port}"
    env = {
        "AUTH__PUBLIC_URL": url,
        "AUTH__SERVER__ENABLED": "true",
        "AUTH__SESSIONS__ENABLED": "true",
        "AUTH__USERS__PAGE_URL": url,
        "DATABASE_URL": f"sqlite:///{tmp_path_factory.mktemp('inn') / 'inn.db'}",
        "ENVIRONMENT": "test",
        "SERVICE_NAME": "The Inn",
    }
    with uvicorn_server("inn:app", cwd=HERE, env=env, port=port):
        yield Inn(url)


@pytest.fixture
def site() -> Generator[Site]:
    """Give a site whose host is another one to browsers."""
    with serving() as site:
        yield site


@contextmanager
def serving() -> Generator[Site]:
    pages: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages.get(self.path, "<!doctype html><title>Elsewhere</title><h1>Elsewhere</h1>")
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- it is called so
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Site(f"http://127.0.0.1:{server.server_port}", pages)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def keep(axe: str) -> Keep:
    """Give what keeps a picture of a page, and returns what axe-core finds wrong with it."""

    def look(page: Page, name: str) -> list[str]:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        page.evaluate(axe)
        found = page.evaluate(
            "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", list(AXE_TAGS)
        )
        assert found["passes"], "axe-core has looked at nothing"
        return [
            f"{one['id']}: {node['html']} {node['failureSummary']}"
            for one in found["violations"]
            for node in one["nodes"]
        ]

    return look


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("name", NAMES)
def test_a_judge_finds_nothing_wrong(
    name: PageName, theme: Theme, *, visiting: Visiting, inn: Inn, keep: Keep
) -> None:
    page = visiting(theme=theme).open(f"{inn.url}/test/pages/{name}")

    assert keep(page, f"{name}-{theme}") == []


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_a_narrow_window(
    name: PageName, *, visiting: Visiting, inn: Inn, keep: Keep
) -> None:
    page = visiting(width=NARROW).open(f"{inn.url}/test/pages/{name}")

    assert keep(page, f"{name}-narrow") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW


@pytest.mark.parametrize("name", NAMES)
def test_a_page_asks_for_nothing_else_and_breaks_no_policy(
    name: PageName, visiting: Visiting, inn: Inn
) -> None:
    visit = visiting()

    visit.open(f"{inn.url}/test/pages/{name}").wait_for_load_state("networkidle")

    assert [url for url in visit.requested if url != "data:,"] == [f"{inn.url}/test/pages/{name}"]
    assert visit.complaints == []


@pytest.mark.parametrize("theme", get_args(Theme))
def test_the_style_is_the_librarys(theme: Theme, visiting: Visiting, inn: Inn) -> None:
    page = visiting(theme=theme).open(f"{inn.url}/test/pages/sign_in")

    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert color == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 19, 20)"}[theme]


@pytest.mark.parametrize("name", NAMES)
def test_everything_that_is_pressed_is_large_enough(
    name: PageName, visiting: Visiting, inn: Inn
) -> None:
    page = visiting(width=NARROW).open(f"{inn.url}/test/pages/{name}")

    boxes = [one.bounding_box() for one in page.locator("a, button, input:visible").all()]
    assert boxes
    for box in boxes:
        assert box is not None
        assert box["width"] >= 24
        assert box["height"] >= 24


@pytest.mark.parametrize("name", ["sign_in", "second_factor"])
def test_what_went_wrong_is_read_first(name: PageName, visiting: Visiting, inn: Inn) -> None:
    page = visiting().open(f"{inn.url}/test/pages/{name}")

    focused = page.evaluate("document.activeElement.getAttribute('role')")
    assert focused == "alert"
    assert page.title().startswith("Error: ")


@pytest.mark.parametrize("name", ["consent", "second_factor", "sign_in", "sign_out"])
def test_where_the_focus_is_can_be_seen(name: PageName, visiting: Visiting, inn: Inn) -> None:
    page = visiting().open(f"{inn.url}/test/pages/{name}")

    count = page.locator("a, button, input:visible").count()
    for _ in range(count):
        page.keyboard.press("Tab")
        style = page.evaluate(
            "(() => { const one = getComputedStyle(document.activeElement);"
            " return [document.activeElement.tagName, one.outlineStyle, one.outlineWidth]; })()"
        )
        assert style[0] in {"A", "BUTTON", "INPUT"}
        assert style[1:] == ["solid", "3px"]


def test_a_page_cannot_be_framed(visiting: Visiting, inn: Inn, site: Site) -> None:
    site.pages["/"] = f'<title>x</title><iframe src="{inn.url}/sign-in"></iframe>'
    visit = visiting()

    page = visit.open(site.url)
    page.wait_for_load_state("networkidle")

    (frame,) = page.frames[1:]
    assert frame.locator("form").count() == 0
    assert any("frame-ancestors" in one or "X-Frame-Options" in one for one in visit.complaints)


def asking(inn: Inn, site: Site, *, client: str = "printer", **more: str) -> str:
    """Return where a client sends its users."""
    digest = hashlib.sha256(VERIFIER.encode()).digest()
    values = {
        "client_id": client,
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        "redirect_uri": f"{site.url}/callback",
        "response_type": "code",
        "scope": "openid email",
        "state": "a state",
    }
    return f"{inn.url}/oauth2/authorize?{urlencode({**values, **more})}"


def fill_in(page: Page, *, email: str = ANN, password: str = PASSWORD) -> None:
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def arrived(page: Page, site: Site) -> Arrival:
    page.wait_for_url(f"{site.url}/**")
    parts = urlsplit(page.url)
    return Arrival(parts.path, dict(parse_qsl(parts.query)))


def heading(page: Page) -> str:
    return page.get_by_role("heading", level=1).inner_text()


def refused(visit: Visit) -> list[str]:
    """Return what the policies of pages have refused."""
    return [one for one in visit.complaints if "Content Security Policy" in one]


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_signs_in_agrees_and_comes_back_with_a_code(
    has_scripts: bool, *, visiting: Visiting, inn: Inn, site: Site, keep: Keep
) -> None:
    visit = visiting(has_scripts=has_scripts)
    page = visit.open(asking(inn, site, login_hint=ANN, prompt="consent"))
    found = keep(page, "walk-1-sign-in") if has_scripts else []
    hinted = page.get_by_label("E-mail address").input_value()

    fill_in(page)
    asked = heading(page)
    found += keep(page, "walk-2-consent") if has_scripts else []
    page.get_by_role("button", name="Allow", exact=True).click()
    arrival = arrived(page, site)
    told = inn.redeem(
        client_id="printer",
        code=arrival.values["code"],
        code_verifier=VERIFIER,
        grant_type="authorization_code",
        redirect_uri=f"{site.url}/callback",
    )

    assert found == []
    assert hinted == ANN
    assert asked == "Allow Printer?"
    assert arrival.path == "/callback"
    assert arrival.values["state"] == "a state"
    assert arrival.values["iss"] == inn.url
    assert told.get("token_type") == "Bearer", told
    assert {"access_token", "id_token"} <= told.keys()
    assert refused(visit) == []


def test_a_wrong_password_is_told_and_the_right_one_goes_on(
    visiting: Visiting, inn: Inn, site: Site, keep: Keep
) -> None:
    page = visiting().open(asking(inn, site, client="kiosk"))

    fill_in(page, password="a wrong password of some length")
    told = page.get_by_role("alert").inner_text()
    found = keep(page, "walk-3-wrong-password")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")

    assert found == []
    assert "The e-mail address or the password is not right." in told
    assert "code" in arrived(page, site).values


def test_the_second_factor_is_asked_for(
    visiting: Visiting, inn: Inn, site: Site, keep: Keep
) -> None:
    visit = visiting()
    page = visit.open(asking(inn, site, client="kiosk"))

    fill_in(page, email="ben@example.com")
    found = keep(page, "walk-4-second-factor")
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Continue").click()
    told = page.get_by_role("alert").inner_text()
    found += keep(page, "walk-5-wrong-code")
    page.get_by_label("Code").fill(inn.code())
    page.get_by_role("button", name="Continue").click()

    assert found == []
    assert "The code is not right." in told
    assert "code" in arrived(page, site).values
    assert refused(visit) == []


def test_who_does_not_agree_comes_back_without_a_code(
    visiting: Visiting, inn: Inn, site: Site
) -> None:
    visit = visiting()
    page = visit.open(asking(inn, site, prompt="consent"))

    fill_in(page)
    page.get_by_role("button", name="Do not allow").click()
    arrival = arrived(page, site)

    assert arrival.values["error"] == "access_denied"
    assert arrival.values["state"] == "a state"
    assert "code" not in arrival.values
    assert refused(visit) == []


def test_two_tabs_go_their_own_ways(visiting: Visiting, inn: Inn, site: Site) -> None:
    visit = visiting()
    first = visit.open(asking(inn, site, state="first", prompt="consent"))
    second = visit.open(asking(inn, site, state="second", prompt="consent"))

    fill_in(first)
    fill_in(second)
    second.get_by_role("button", name="Do not allow").click()
    # Its page is of the session that the second tab has replaced.
    first.get_by_role("button", name="Allow", exact=True).click()
    first.get_by_role("link", name="Open the page again").click()
    first.get_by_role("button", name="Allow", exact=True).click()
    arrivals = [arrived(tab, site).values for tab in (first, second)]

    assert [one["state"] for one in arrivals] == ["first", "second"]
    assert "code" in arrivals[0]
    assert arrivals[1]["error"] == "access_denied"


def test_signs_out_when_asked_and_not_before(
    visiting: Visiting, inn: Inn, site: Site, keep: Keep
) -> None:
    visit = visiting()
    page = visit.open(asking(inn, site, client="kiosk"))
    fill_in(page)
    arrived(page, site)

    page.goto(f"{inn.url}/oauth2/end-session")
    found = keep(page, "walk-6-sign-out")
    page.get_by_role("button", name="Stay signed in").click()
    stays = page.goto(f"{inn.url}/auth/me")
    page.goto(f"{inn.url}/oauth2/end-session")
    page.get_by_role("button", name="Sign out").click()
    left = heading(page)
    found += keep(page, "walk-7-signed-out")
    gone = page.goto(f"{inn.url}/auth/me")
    page.goto(asking(inn, site, client="kiosk"))

    assert found == []
    assert stays is not None
    assert stays.status == 200
    assert left == "You are signed out"
    assert gone is not None
    assert gone.status == 401
    assert heading(page) == "Sign in"


def test_comes_back_to_the_client_when_signed_out(visiting: Visiting, inn: Inn, site: Site) -> None:
    inn.add_client("lobby", site=site.url)
    visit = visiting()
    page = visit.open(asking(inn, site, client="lobby", scope="openid"))
    fill_in(page)
    arrived(page, site)
    values = {"client_id": "lobby", "post_logout_redirect_uri": f"{site.url}/left", "state": "bye"}

    page.goto(f"{inn.url}/oauth2/end-session?{urlencode(values)}")
    page.get_by_role("button", name="Sign out").click()

    assert arrived(page, site) == Arrival("/left", {"state": "bye"})
    assert refused(visit) == []


def test_a_keyboard_is_enough(visiting: Visiting, inn: Inn, site: Site) -> None:
    page = visiting().open(asking(inn, site, prompt="consent"))

    for text in (ANN, PASSWORD):
        page.keyboard.press("Tab")
        page.keyboard.type(text)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Allow", exact=True).wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")

    assert "code" in arrived(page, site).values


def test_a_client_with_an_address_that_is_not_its_own_gets_nobody(
    visiting: Visiting, inn: Inn, site: Site, keep: Keep
) -> None:
    page = visiting().open(asking(inn, site, redirect_uri=f"{site.url}/elsewhere"))

    assert page.url.startswith(inn.url)
    assert heading(page) == "This did not work"
    assert keep(page, "walk-8-error") == []


def test_another_site_signs_nobody_in(visiting: Visiting, inn: Inn, site: Site) -> None:
    fields = {"email": ANN, "password": PASSWORD, "csrf_token": "x", "return_to": "/"}
    inputs = "".join(f'<input name="{name}" value="{text}">' for name, text in fields.items())
    site.pages["/"] = f'<form method="post" action="{inn.url}/sign-in">{inputs}<button>Win</button>'
    visit = visiting()
    visit.open(f"{inn.url}/sign-in")
    page = visit.open(site.url)

    with page.expect_navigation() as navigation:
        page.get_by_role("button", name="Win").click()

    assert navigation.value is not None
    assert navigation.value.status == 403
    assert "__Host-session" not in {cookie.get("name") for cookie in visit.context.cookies()}
