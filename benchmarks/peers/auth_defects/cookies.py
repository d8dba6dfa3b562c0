"""Probes of the sessions of fastapi-users: tokens in the database, in a cookie."""

from fastapi import FastAPI
from fastapi_users.authentication import JWTStrategy
from starlette.middleware.cors import CORSMiddleware

from benchmarks.peers.auth_defects.textbook import PEER as TEXTBOOK
from benchmarks.peers.auth_defects.users import (
    COOKIE,
    EMAIL,
    ENVIRONMENT,
    LIFETIME,
    NEW_PASSWORD,
    OTHER,
    PASSWORD,
    PEER,
    SECRET,
    AccessToken,
    serving,
)
from benchmarks.peers.defects.probe import Seen, client, probe

_OK, _REFUSED = 200, 401


@probe("b11", peer=PEER, environment=ENVIRONMENT)
async def fixed_sessions() -> Seen:
    """Sign in again with the browser that has a session, and use the old one."""
    async with serving() as service, service.visitor() as browser, service.visitor() as other:
        browser.headers["cookie"] = f"{COOKIE}=chosen-by-somebody-else"
        first = await service.sign_in(browser)
        second = await service.sign_in(browser)
        other.headers["cookie"] = f"{COOKIE}={first}"
        status = (await other.get("/users/me")).status_code
    is_new = first not in {"", "chosen-by-somebody-else", second}
    seen = f"a new one each time: {is_new}; the one before is answered with {status}"
    return Seen(not is_new or status != _REFUSED, seen)


@probe("b12", peer=PEER, environment=ENVIRONMENT)
async def cookies() -> Seen:
    """Look at the cookie."""
    cookie, _ = await _cookie_and_record()
    attributes = cookie.partition("; ")[2]
    has_prefix = cookie.startswith("__Host-")
    return Seen(not has_prefix, f"{COOKIE}, without the prefix __Host-; {attributes}")


@probe("b12-kept", peer=PEER, environment=ENVIRONMENT)
async def kept_cookies() -> Seen:
    """Look for the cookie in the database."""
    _, record = await _cookie_and_record()
    where = "is there as it is" if record is not None else "is not there"
    return Seen(record is not None, f"in the column `token` of its sessions it {where}")


async def _cookie_and_record() -> tuple[str, AccessToken | None]:
    async with serving() as service, service.visitor() as browser:
        form = {"username": EMAIL, "password": PASSWORD}
        cookie = (await browser.post("/auth/login", data=form)).headers["set-cookie"]
        value = cookie.partition(";")[0].partition("=")[2]
        async with service.sessions() as session:
            return cookie, await session.get(AccessToken, value)


@probe("b13", peer=PEER, environment=ENVIRONMENT)
async def ended_sessions() -> Seen:
    """Use sessions after a sign-out, and after whatever else should have ended them."""
    found: dict[str, int] = {}
    async with serving() as service, service.visitor() as browser, service.visitor() as other:
        await service.sign_in(browser)
        await browser.post("/auth/logout")
        found["sign-out"] = (await browser.get("/users/me")).status_code
        await service.sign_in(browser)
        await service.sign_in(other)
        await browser.patch("/users/me", json={"password": NEW_PASSWORD})
        found["password changed elsewhere"] = (await other.get("/users/me")).status_code
        await service.change(EMAIL, is_active=False)
        found["disabled"] = (await other.get("/users/me")).status_code
        await service.change(EMAIL, is_active=True)
        found["enabled again"] = (await other.get("/users/me")).status_code
    alive = [name for name, status in found.items() if status == _OK]
    return Seen(bool(alive), f"alive after: {', '.join(alive) or 'nothing'}")


@probe("b13", peer=PEER, environment=ENVIRONMENT)
async def ended_tokens() -> Seen:
    """Sign out, and use the token again."""
    async with serving(tokens=True) as service, service.visitor() as browser:
        form = {"username": EMAIL, "password": PASSWORD}
        token = (await browser.post("/auth/login", data=form)).json()["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        await browser.post("/auth/logout", headers=headers)
        status = (await browser.get("/users/me", headers=headers)).status_code
    return Seen(status != _REFUSED, f"JWTStrategy: after a sign-out: {status}")


@probe("b14", peer=PEER, environment=ENVIRONMENT)
async def idle_sessions() -> Seen:
    """Look for what ends a session that nobody uses."""
    columns = sorted(AccessToken.__table__.columns.keys())
    has_idle = any("seen" in name or "used" in name for name in columns)
    seen = f"columns of a session: {', '.join(columns)}; it lasts {LIFETIME} s, used or not"
    return Seen(not has_idle, seen)


@probe("b15", peer=PEER, environment=ENVIRONMENT)
async def forged_requests() -> Seen:
    """Change something with the cookie, as a page of another site would."""
    headers = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    async with serving() as service, service.visitor() as browser:
        await service.sign_in(browser)
        change = {"email": OTHER}
        changed = await browser.patch("/users/me", json=change, headers=headers)
        plain = {**headers, "content-type": "text/plain"}
        as_text = await browser.patch(
            "/users/me", content='{"email": "x@example.com"}', headers=plain
        )
        ended = await browser.post("/auth/logout", headers=headers)
    found = {
        "PATCH": changed.status_code,
        "PATCH, as text": as_text.status_code,
        "sign-out": ended.status_code,
    }
    done = {name: status for name, status in found.items() if status < 300}
    return Seen(bool(done), f"done for another site: {done}; left to SameSite")


@probe("b16", peer=TEXTBOOK, environment=ENVIRONMENT)
async def reflected_origins() -> Seen:
    """Allow every origin, with credentials, and ask from anywhere."""
    app = FastAPI()
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    app.get("/")(_answer)
    found: dict[str, str | None] = {}
    async with client(app) as asking:
        for origin in ("https://evil.example", "null"):
            headers = {"origin": origin, "cookie": "session=1"}
            answer = await asking.get("/", headers=headers)
            if answer.headers.get("access-control-allow-credentials") == "true":
                found[origin] = answer.headers.get("access-control-allow-origin")
    has_defect = any(origin == allowed for origin, allowed in found.items())
    return Seen(has_defect, f"allowed with credentials: {found}")


async def _answer() -> str:
    return "done"


@probe("s27", peer=PEER, environment=ENVIRONMENT)
async def sessions_of_others() -> Seen:
    """Look for the routes of one's sessions, and ask for another user."""
    async with serving() as service, service.visitor() as browser:
        other = (await service.register(OTHER)).json()["id"]
        await service.sign_in(browser)
        status = (await browser.get(f"/users/{other}")).status_code
        paths = [path for path in service.app.openapi()["paths"] if "session" in path]
    seen = f"another user: {status}; routes that list or end one's sessions: {paths or 'none'}"
    return Seen(status == _OK or not paths, seen)


@probe("b14", peer=PEER, environment=ENVIRONMENT)
async def endless_tokens() -> Seen:
    """Allow a lifetime of none, as its parameter does."""
    strategy = JWTStrategy(secret=SECRET, lifetime_seconds=None)
    return Seen(
        strategy.lifetime_seconds is None,
        "JWTStrategy: a lifetime of None is taken, which is for ever",
    )
