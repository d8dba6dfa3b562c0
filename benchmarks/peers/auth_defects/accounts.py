"""Probes of accounts: enumeration, guessing, links in letters, and what administrators may do."""

import inspect

from benchmarks.peers.auth_defects.textbook import (
    PASSWORD,
    Hashes,
)
from benchmarks.peers.auth_defects.textbook import (
    PEER as TEXTBOOK,
)
from benchmarks.peers.auth_defects.textbook import (
    SECRET as TEXTBOOK_SECRET,
)
from benchmarks.peers.auth_defects.textbook import (
    application as textbook,
)
from benchmarks.peers.auth_defects.users import (
    EMAIL,
    ENVIRONMENT,
    NEW_PASSWORD,
    OTHER,
    PEER,
    SECRET,
    serving,
)
from benchmarks.peers.auth_defects.users import (
    PASSWORD as OWN_PASSWORD,
)
from benchmarks.peers.defects.probe import Seen, client, probe

_OK, _CREATED, _TOO_MANY = 200, 201, 429
_GUESSES, _LONG = 25, 100_000


@probe("s21", peer=PEER, environment=ENVIRONMENT)
async def known_addresses() -> Seen:
    """Register, sign in and ask for a link with an address that is known, and with others."""
    found: dict[str, tuple[object, object]] = {}
    async with serving() as service, service.visitor() as browser:
        again, first = await service.register(EMAIL), await service.register("new@example.com")
        found["register"] = (again.status_code, first.status_code)
        work: list[int] = []
        for email in (EMAIL, "nobody@example.com"):
            service.hashed.clear()
            await browser.post("/auth/forgot-password", json={"email": email})
            work.append(len(service.hashed))
        found["hashes of forgot-password"] = (work[0], work[1])
    differing = {name: pair for name, pair in found.items() if pair[0] != pair[1]}
    return Seen(bool(differing), f"known and unknown differ: {differing}")


@probe("s21", peer=TEXTBOOK, environment=ENVIRONMENT)
async def known_names() -> Seen:
    """Sign in as a user who exists, and as one who does not, and count the work."""
    work: dict[str, int] = {}
    for name in ("johndoe", "nobody"):
        hashes = Hashes()
        async with client(textbook(hashes)) as asking:
            await asking.post("/token", data={"username": name, "password": "wrong"})
        work[name] = hashes.verified
    return Seen(len(set(work.values())) > 1, f"passwords verified: {work}")


@probe("s21-size", peer=PEER, environment=ENVIRONMENT)
async def long_passwords() -> Seen:
    """Sign in with a password that is far longer than any."""
    async with serving() as service, service.visitor() as browser:
        service.hashed.clear()
        await service.sign_in(browser, password="x" * _LONG)
    is_hashed = max(service.hashed, default=0) >= _LONG
    return Seen(is_hashed, f"lengths of what was hashed: {service.hashed}")


@probe("s21-size", peer=TEXTBOOK, environment=ENVIRONMENT)
async def long_passwords_of_the_tutorial() -> Seen:
    """Sign in with a password that is far longer than any."""
    hashes = Hashes()
    async with client(textbook(hashes)) as asking:
        await asking.post("/token", data={"username": "johndoe", "password": "x" * 100_000})
    return Seen(max(hashes.lengths, default=0) >= _LONG, f"lengths: {hashes.lengths}")


@probe("s21-rules", peer=PEER, environment=ENVIRONMENT)
async def bad_passwords() -> Seen:
    """Register with the passwords that are tried first."""
    async with serving() as service:
        found = {
            password: (
                await service.register(f"{number}@example.com", password=password)
            ).status_code
            for number, password in enumerate(("a", "password", "1@example.com"))
        }
    taken = [password for password, status in found.items() if status == _CREATED]
    return Seen(bool(taken), f"taken: {taken}")


@probe("s22", peer=PEER, environment=ENVIRONMENT)
async def guesses() -> Seen:
    """Guess a password again and again."""
    async with serving() as service, service.visitor() as browser:
        statuses: set[int] = set()
        for number in range(_GUESSES):
            form = {"username": EMAIL, "password": f"guess {number}"}
            statuses.add((await browser.post("/auth/login", data=form)).status_code)
    return Seen(_TOO_MANY not in statuses, f"{_GUESSES} guesses: {sorted(statuses)}")


@probe("s22", peer=TEXTBOOK, environment=ENVIRONMENT)
async def guesses_of_the_tutorial() -> Seen:
    """Guess a password again and again."""
    statuses: set[int] = set()
    async with client(textbook()) as asking:
        for number in range(_GUESSES):
            form = {"username": "johndoe", "password": f"guess {number}"}
            statuses.add((await asking.post("/token", data=form)).status_code)
    return Seen(_TOO_MANY not in statuses, f"{_GUESSES} guesses: {sorted(statuses)}")


@probe("s23", peer=PEER, environment=ENVIRONMENT)
async def links_that_reset() -> Seen:
    """Use a link twice, and one that was sent to an address that has been given up since."""
    found: dict[str, int] = {}
    async with serving() as service, service.visitor() as browser:
        await browser.post("/auth/forgot-password", json={"email": EMAIL})
        (_, token) = service.letters[-1]
        for name in ("first use", "second use"):
            body = {"token": token, "password": NEW_PASSWORD}
            found[name] = (await browser.post("/auth/reset-password", json=body)).status_code
        await browser.post("/auth/forgot-password", json={"email": EMAIL})
        (_, token) = service.letters[-1]
        await service.change(EMAIL, email=OTHER)
        body = {"token": token, "password": "chosen by whoever reads the old mailbox"}
        found["after the address has changed"] = (
            await browser.post("/auth/reset-password", json=body)
        ).status_code
    bad = [name for name, status in found.items() if status == _OK and name != "first use"]
    return Seen(bool(bad), f"{found}")


@probe("s24", peer=PEER, environment=ENVIRONMENT)
async def fields_that_are_not_theirs() -> Seen:
    """Register and change oneself with what only an administrator may set."""
    more = {"is_superuser": True, "is_verified": True, "is_active": False, "roles": ["admin"]}
    async with serving() as service, service.visitor() as browser:
        registered = (await service.register(OTHER, **more)).json()
        await service.sign_in(browser)
        changed = (await browser.patch("/users/me", json=more)).json()
    given = [
        name
        for answer in (registered, changed)
        for name in ("is_superuser", "is_verified")
        if answer[name]
    ]
    return Seen(bool(given), f"given: {given or 'nothing'}")


@probe("s25", peer=PEER, environment=ENVIRONMENT)
async def disabled_users() -> Seen:
    """Disable a user, then delete them, and use their session."""
    found: dict[str, int] = {}
    async with serving() as service, service.visitor() as browser, service.visitor() as admin:
        user = (await service.register(OTHER)).json()["id"]
        await service.change(EMAIL, is_superuser=True)
        await service.sign_in(admin)
        await service.sign_in(browser, email=OTHER)
        await admin.patch(f"/users/{user}", json={"is_active": False})
        found["disabled"] = (await browser.get("/users/me")).status_code
        await admin.delete(f"/users/{user}")
        found["deleted"] = (await browser.get("/users/me")).status_code
    return Seen(_OK in found.values(), f"{found}")


@probe("s26", peer=PEER, environment=ENVIRONMENT)
async def passwords_by_administrators() -> Seen:
    """Set a user's password as an administrator, and sign in with it."""
    async with serving() as service, service.visitor() as browser, service.visitor() as admin:
        user = (await service.register(OTHER)).json()["id"]
        await service.change(EMAIL, is_superuser=True)
        await service.sign_in(admin)
        status = (await admin.patch(f"/users/{user}", json={"password": NEW_PASSWORD})).status_code
        cookie = await service.sign_in(browser, email=OTHER, password=NEW_PASSWORD)
    return Seen(bool(cookie), f"{status}, and it signs in: {bool(cookie)}")


@probe("s26-secrets", peer=PEER, environment=ENVIRONMENT)
async def default_secrets() -> Seen:
    """Start with the secret of the documentation."""
    async with serving(tokens=True) as service, service.visitor() as browser:
        form = {"username": EMAIL, "password": OWN_PASSWORD}
        status = (await browser.post("/auth/login", data=form)).status_code
    return Seen(status == _OK, f"it starts with {SECRET!r}, and signs tokens with it: {status}")


@probe("s26-secrets", peer=TEXTBOOK, environment=ENVIRONMENT)
async def secret_of_the_tutorial() -> Seen:
    """Start with the secret that stands in the source."""
    async with client(textbook()) as asking:
        form = {"username": "johndoe", "password": PASSWORD}
        status = (await asking.post("/token", data=form)).status_code
    where = inspect.getsourcefile(textbook) or ""
    seen = f"it starts with the one in {where.rpartition('/')[2]}, and signs tokens: {status}"
    return Seen(status == _OK and bool(TEXTBOOK_SECRET), seen)
