"""Programs that others have written, services that meet them, and the browser of a user."""

import base64
import html
import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
import uvicorn
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import Depends, FastAPI
from httpx2 import AsyncClient

from fastapi_baseline import Settings, create_app
from fastapi_baseline.auth import Principal, RequireScopes
from fastapi_baseline.settings.auth import AuthSettings
from fastapi_baseline.testing import ManualClock, ServerProcess, running, server_process

HERE = Path(__file__).parent
# Where the gate has room: what npm installs is none of the tree's.
SCRATCH = HERE.parents[1] / ".nox/scratch/peers/npm"
METADATA = "/.well-known/openid-configuration"

Serving = Callable[..., AbstractAsyncContextManager[AsyncClient]]
Listening = Callable[..., AbstractContextManager["ListeningApp"]]

_ATTRIBUTE = re.compile(r"""([a-z-]+)\s*=\s*"([^"]*)\"""", re.IGNORECASE)
_FORM = re.compile(r"<form\b([^>]*)>(.*?)</form>", re.IGNORECASE | re.DOTALL)
_INPUT = re.compile(r"<input\b([^>]*)>", re.IGNORECASE)
_BUTTON = re.compile(r"<button\b([^>]*)>", re.IGNORECASE)
_MOST_STEPS = 15


class ListeningApp:
    """An application behind a real socket; its event loop is in another thread."""

    def __init__(self, app: FastAPI, *, base_url: str, portal: BlockingPortal) -> None:
        self.app = app
        self.base_url = base_url
        self._portal = portal

    def call(self, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do something in its event loop, and return what comes of it."""
        return self._portal.call(work)


class _Server(uvicorn.Server):
    """Says when it listens, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_decided = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.is_decided.set()


class Surfer:
    """The browser of a user: goes where it is sent, keeps cookies, fills in forms on its way.

    As browsers do on loopback, it sends `Secure` cookies there without TLS, and to all ports.
    """

    def __init__(self, client: httpx2.Client, **filled: str) -> None:
        """Fill in the fields of forms that are called so."""
        self._client = client
        self._filled = filled
        self._cookies: dict[tuple[str, str], str] = {}
        self.pages = 0

    @property
    def cookies(self) -> Mapping[str, str]:
        """Return the cookies, by name."""
        return {name: value for (_, name), value in self._cookies.items()}

    def visit(self, url: str, *, until: str | None = None) -> httpx2.Response | str:
        """Return the page where it ends, or the URL as soon as it begins with `until`."""
        answer = self.get(url)
        for _ in range(_MOST_STEPS):
            where = answer.headers.get("location")
            if where is None and answer.headers.get("content-type", "").startswith("text/html"):
                found = self._fill(answer)
                if found is None:
                    return answer
                answer = self.send("POST", found[0], data=found[1])
                continue
            if where is None:
                return answer
            where = urljoin(str(answer.url), where)
            if until is not None and where.startswith(until):
                return where
            answer = self.get(where)
        pytest.fail(f"It never ends: {answer.url}")

    def page(self, url: str) -> httpx2.Response:
        """Return the page where it ends."""
        found = self.visit(url)
        assert not isinstance(found, str)
        return found

    def arrival(self, url: str, *, until: str) -> str:
        """Return the URL that begins with `until`, to which it is sent."""
        found = self.visit(url, until=until)
        assert isinstance(found, str), f"It stays at {found.url}: {found.status_code} {found.text}"
        return found

    def get(self, url: str, **headers: str) -> httpx2.Response:
        """Go there from another site, and no further."""
        cross = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        return self.send("GET", url, headers={**cross, **headers})

    def send(self, method: str, url: str, **sent: Any) -> httpx2.Response:
        """Send one request; one that changes something comes from a page of the same origin."""
        host = urlsplit(url).hostname or ""
        headers: dict[str, str] = dict(sent.pop("headers", {}))
        if method != "GET":
            parts = urlsplit(url)
            headers = {
                "origin": f"{parts.scheme}://{parts.netloc}",
                "sec-fetch-site": "same-origin",
                "x-requested-with": "a-test",
                **headers,
            }
        cookies = [f"{name}={value}" for (at, name), value in self._cookies.items() if at == host]
        if cookies:
            headers["cookie"] = "; ".join(cookies)
        self._client.cookies.clear()
        answer = self._client.request(method, url, headers=headers, **sent)
        for cookie in answer.headers.get_list("set-cookie"):
            self._keep(host, cookie)
        return answer

    def _keep(self, host: str, cookie: str) -> None:
        pair, *attributes = [part.strip() for part in cookie.split(";")]
        name, _, value = pair.partition("=")
        ended = any(
            one.lower() == "max-age=0" or "01 jan 1970" in one.lower() for one in attributes
        )
        if ended or value.strip('"') == "":
            self._cookies.pop((host, name), None)
        else:
            self._cookies[(host, name)] = value

    def _fill(self, answer: httpx2.Response) -> tuple[str, dict[str, str]] | None:
        form = _FORM.search(answer.text)
        if form is None:
            return None
        self.pages += 1
        here = str(answer.url)
        action = urljoin(here, _attributes(form[1]).get("action", here))
        filled: dict[str, str] = {}
        for tag in _INPUT.finditer(form[2]):
            field = _attributes(tag[1])
            if "name" in field:
                filled[field["name"]] = self._filled.get(field["name"], field.get("value", ""))
        buttons = [_attributes(tag[1]) for tag in _BUTTON.finditer(answer.text)]
        named = [button for button in buttons if "name" in button]
        wanted = [one for one in named if one.get("value") == self._filled.get(one["name"])]
        if named:
            chosen = (wanted or named)[0]
            filled[chosen["name"]] = chosen.get("value", "")
        return action, filled


def _attributes(tag: str) -> dict[str, str]:
    return {name.lower(): html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}


@contextmanager
def _listening(
    make_app: Callable[[str], FastAPI],
    *,
    before: Callable[[FastAPI], Awaitable[None]] | None = None,
) -> Generator[ListeningApp]:
    with socket.create_server(("127.0.0.1", 0)) as listener, start_blocking_portal() as portal:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = make_app(base_url)
        if before is not None:
            portal.call(before, app)
        server = _Server(uvicorn.Config(app, lifespan="on", log_config=None, ws="none"))
        running = portal.start_task_soon(server.serve, [listener])
        server.is_decided.wait()
        assert server.started, "The application did not start."
        try:
            yield ListeningApp(app, base_url=base_url, portal=portal)
        finally:
            server.should_exit = True
            running.result()


@pytest.fixture(scope="session")
def listening() -> Listening:
    """Give what serves an application, which is made from the URL that it will have."""
    return _listening


@pytest.fixture
def surfer() -> Generator[Callable[..., Surfer]]:
    """Give what makes a browser."""
    with httpx2.Client() as client:
        yield partial(Surfer, client)


@pytest.fixture(scope="session")
def programs() -> Path:
    """Give the folder of the servers, with the packages that the lock file says."""
    for needed in ("node", "npm"):
        if shutil.which(needed) is None:
            pytest.fail(f"{needed} is not on PATH. On Debian: apt-get install nodejs npm")
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for file in (*HERE.glob("*.mjs"), *HERE.glob("package*.json")):
        shutil.copyfile(file, SCRATCH / file.name)
    lock = (HERE / "package-lock.json").read_bytes()
    installed = SCRATCH / "node_modules/.installed-from"
    if not installed.is_file() or installed.read_bytes() != lock:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(command, cwd=SCRATCH, check=True, timeout=300)
        installed.write_bytes(lock)
    return SCRATCH


@contextmanager
def _started(programs: Path, program: str) -> Generator[ServerProcess]:
    with server_process(
        lambda port: ["node", program, str(port)], cwd=programs, ready_path=METADATA
    ) as server:
        yield server


@pytest.fixture(scope="module")
def oauth2_mock_server(programs: Path) -> Generator[ServerProcess]:
    with _started(programs, "oauth2_mock_server.mjs") as server:
        yield server


@pytest.fixture(scope="module")
def oidc_provider(programs: Path) -> Generator[ServerProcess]:
    with _started(programs, "oidc_provider.mjs") as server:
        yield server


class MovedClock(ManualClock):
    """Shows the time that the peers know, and by how much it was moved besides."""

    def __init__(self) -> None:
        super().__init__(datetime.now(UTC))  # noqa: TID251 - that of the machine, as the peers have it
        self._begun = time.monotonic()

    def now(self) -> datetime:
        """Return the time of the machine, and what it was moved by."""
        return super().now() + timedelta(seconds=time.monotonic() - self._begun)

    def monotonic(self) -> float:
        """Return the seconds since it was made, and those that it was moved by."""
        return super().monotonic() + time.monotonic() - self._begun


@pytest.fixture
def clock() -> ManualClock:
    """Give a clock that can be moved on."""
    return MovedClock()


@pytest.fixture
def serving(clock: ManualClock) -> Serving:
    """Give what runs a service with one route, for those who have the scope `orders:read`."""

    @asynccontextmanager
    async def serve(auth: AuthSettings) -> AsyncGenerator[AsyncClient]:
        settings = Settings(environment="test", auth=auth)
        app = create_app(settings, clock=clock, configure_logging=False)
        wanted = Depends(RequireScopes(all=["orders:read"]))

        @app.get("/orders")
        async def list_orders(principal: Annotated[Principal, wanted]) -> dict[str, Any]:
            return {
                "issuer": principal.issuer,
                "subject": principal.subject,
                "client": principal.client_id,
                "scopes": sorted(principal.scopes),
            }

        async with running(app) as client:
            yield client

    return serve


@pytest.fixture(scope="session")
def altered() -> Callable[[str], Mapping[str, str]]:
    """Give what makes of a good token all that it must not be taken for."""
    return _altered


def _altered(token: str) -> Mapping[str, str]:
    header, payload, signature = token.split(".")
    says, claims = _decoded(header), _decoded(payload)
    altered = {
        f"claim {name}": ".".join((header, _encoded({**claims, **change}), signature))
        for name, change in {
            "sub": {"sub": "somebody-else"},
            "scope": {"scope": "orders:read orders:write admin"},
            "exp": {"exp": claims["exp"] + 3600},
            "aud": {"aud": [claims["aud"], "https://other.example.com"]},
            "iss": {"iss": f"{claims['iss']}/"},
            "new": {"roles": ["admin"]},
        }.items()
    }
    altered |= {
        f"claim {name}, left out": ".".join(
            (header, _encoded({key: claims[key] for key in claims if key != name}), signature)
        )
        for name in claims
    }
    altered |= {
        f"header {name}": ".".join((_encoded({**says, **change}), payload, signature))
        for name, change in {
            "alg none": {"alg": "none"},
            "alg HS256": {"alg": "HS256"},
            "alg RS512": {"alg": "RS512"},
            "typ": {"typ": "JWT"},
            "kid": {"kid": "another"},
            "crit": {"crit": ["exp"]},
            "b64": {"b64": False, "crit": ["b64"]},
        }.items()
    }
    flipped = "A" if signature[0] != "A" else "B"
    altered |= {
        "no signature": f"{header}.{payload}.",
        "no signature, alg none": f"{_encoded({'alg': 'none', 'typ': 'at+jwt'})}.{payload}.",
        "another signature": f"{header}.{payload}.{flipped}{signature[1:]}",
        "shorter signature": f"{header}.{payload}.{signature[:-4]}",
        "padded signature": f"{header}.{payload}.{signature}==",
        "parts exchanged": f"{payload}.{header}.{signature}",
        "two parts": f"{header}.{payload}",
        "five parts": f"{header}.{payload}.{signature}.{payload}.{signature}",
        "nothing": "",
    }
    return altered


def _decoded(part: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def _encoded(part: Mapping[str, Any]) -> str:
    text = json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()
