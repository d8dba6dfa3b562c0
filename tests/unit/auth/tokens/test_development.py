import asyncio
import fcntl
import json
import os
import threading
from base64 import urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from fastapi_baseline import ConfigurationError
from fastapi_baseline.auth import Principal
from fastapi_baseline.auth.tokens import make_bearer_tokens
from fastapi_baseline.auth.tokens.development import (
    DEVELOPMENT,
    ISSUER,
    DevelopmentIssuer,
    folder_of_user,
    resolve_development_issuer,
)
from fastapi_baseline.auth.tokens.development_keys import derive_key, public_half
from fastapi_baseline.auth.tokens.errors import InvalidTokenError
from fastapi_baseline.settings import AuthSettings
from fastapi_baseline.testing import ManualClock

AUDIENCE = "orders"
SETTINGS = AuthSettings(issuer=DEVELOPMENT, audience=(AUDIENCE,), preset="keycloak")

Make = Callable[..., DevelopmentIssuer]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def make_issuer(tmp_path: Path, clock: ManualClock) -> Make:
    """Give a function that makes the issuer as each process does."""
    folder = tmp_path / "keys"

    def make(name: str = "orders") -> DevelopmentIssuer:
        return DevelopmentIssuer(name, clock=clock, folder=folder)

    return make


def sign(issuer: DevelopmentIssuer, **more: Any) -> str:
    return issuer.sign(subject="ann", audience=[AUDIENCE], **more)


def kid_of(token: str) -> str:
    header = token.partition(".")[0]
    return json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


async def verify(issuer: DevelopmentIssuer, token: str, clock: ManualClock) -> Principal:
    settings = resolve_development_issuer(SETTINGS, environment="development")
    tokens = make_bearer_tokens(settings, clock=clock, key_sources={ISSUER: issuer})
    return await tokens.verify(token)


async def test_a_service_that_runs_accepts_its_tokens(
    make_issuer: Make, clock: ManualClock
) -> None:
    service = make_issuer()

    async with service.lifespan(None):
        token = sign(make_issuer(), scopes=["a", "b"], roles=["clerk"])
        principal = await verify(service, token, clock)

    assert (principal.issuer, principal.subject) == (ISSUER, "ann")
    assert (principal.scopes, principal.roles) == ({"a", "b"}, {"clerk"})


async def test_a_token_ends(make_issuer: Make, clock: ManualClock) -> None:
    service = make_issuer()

    async with service.lifespan(None):
        token = sign(make_issuer(), lifetime=timedelta(minutes=5))
        clock.advance(timedelta(minutes=6))
        with pytest.raises(InvalidTokenError):
            await verify(service, token, clock)


async def test_no_token_is_made_for_a_service_that_does_not_run(make_issuer: Make) -> None:
    with pytest.raises(ConfigurationError, match="does not run"):
        sign(make_issuer())

    async with make_issuer().lifespan(None):
        pass

    with pytest.raises(ConfigurationError, match="does not run"):
        sign(make_issuer())


async def test_all_processes_of_a_service_accept_its_tokens(
    make_issuer: Make, clock: ManualClock
) -> None:
    first, second = make_issuer(), make_issuer()

    async with first.lifespan(None), second.lifespan(None):
        token = sign(make_issuer())
        subjects = [(await verify(one, token, clock)).subject for one in (first, second)]

    assert subjects == ["ann", "ann"]


async def test_the_key_stays_as_long_as_one_of_them_runs(
    make_issuer: Make, clock: ManualClock
) -> None:
    first, second = make_issuer(), make_issuer()

    async with second.lifespan(None):
        async with first.lifespan(None):
            before = sign(make_issuer())
        clock.advance(timedelta(minutes=1))
        async with first.lifespan(None):
            after = sign(make_issuer())

    assert kid_of(before) == kid_of(after)


async def test_each_start_makes_a_key(make_issuer: Make, clock: ManualClock) -> None:
    service = make_issuer()
    async with service.lifespan(None):
        before = sign(make_issuer())
    clock.advance(timedelta(seconds=10))

    async with service.lifespan(None):
        after = sign(make_issuer())
        with pytest.raises(InvalidTokenError):
            await verify(service, before, clock)

    assert kid_of(before) != kid_of(after)


async def test_a_restart_keeps_the_key(make_issuer: Make, clock: ManualClock) -> None:
    service = make_issuer()
    async with service.lifespan(None):
        before = sign(make_issuer())
    clock.advance(timedelta(seconds=9))

    async with service.lifespan(None):
        principal = await verify(service, before, clock)

    assert principal.subject == "ann"


async def test_a_service_that_was_killed_has_no_key_left(tmp_path: Path, make_issuer: Make) -> None:
    service = make_issuer()
    async with service.lifespan(None):
        before = sign(make_issuer())
        [file] = (tmp_path / "keys").iterdir()
        left = file.read_bytes()
        modified = file.stat().st_mtime
    file.write_bytes(left)
    os.utime(file, (modified, modified))

    async with service.lifespan(None):
        after = sign(make_issuer())

    assert kid_of(before) != kid_of(after)


async def test_what_is_left_of_a_key_is_not_used_by_who_starts_meanwhile(
    tmp_path: Path, make_issuer: Make
) -> None:
    async with make_issuer().lifespan(None):
        pass

    with pytest.raises(ConfigurationError):
        sign(make_issuer())

    [file] = (tmp_path / "keys").iterdir()
    assert file.read_bytes() == b""


async def test_services_do_not_share_keys(make_issuer: Make, clock: ManualClock) -> None:
    orders, prices = make_issuer("orders"), make_issuer("prices")

    async with orders.lifespan(None), prices.lifespan(None):
        token = sign(make_issuer("prices"))
        with pytest.raises(InvalidTokenError):
            await verify(orders, token, clock)


async def test_nothing_is_accepted_before_the_start_and_after_the_end(
    make_issuer: Make, clock: ManualClock
) -> None:
    service, other = make_issuer(), make_issuer()

    async with other.lifespan(None):
        token = sign(make_issuer())
        with pytest.raises(InvalidTokenError):
            await verify(service, token, clock)
        async with service.lifespan(None):
            await verify(service, token, clock)
        with pytest.raises(InvalidTokenError):
            await verify(service, token, clock)


async def test_a_running_service_cannot_sign(make_issuer: Make) -> None:
    service = make_issuer()

    async with service.lifespan(None):
        key = await service.find_key(kid_of(sign(make_issuer())), "ES256")

    assert key is not None
    assert not key.is_private


async def test_only_its_key_and_its_algorithm_count(make_issuer: Make) -> None:
    service = make_issuer()

    async with service.lifespan(None):
        kid = kid_of(sign(make_issuer()))
        found = [
            await service.find_key(*header)
            for header in ((kid, "ES256"), (kid, "HS256"), (None, "ES256"), ("x", "ES256"))
        ]

    assert [key is not None for key in found] == [True, False, False, False]


async def test_only_the_user_can_read_the_key(tmp_path: Path, make_issuer: Make) -> None:
    folder = tmp_path / "keys"

    async with make_issuer().lifespan(None):
        [file] = folder.iterdir()
        modes = [path.stat().st_mode & 0o777 for path in (folder, file)]

    assert modes == [0o700, 0o600]


async def start(issuer: DevelopmentIssuer) -> None:
    async with issuer.lifespan(None):
        pytest.fail("it started")


async def test_refuses_a_folder_that_others_may_enter(tmp_path: Path, make_issuer: Make) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o755)

    with pytest.raises(ConfigurationError, match="this user alone"):
        await start(make_issuer())


async def test_refuses_a_folder_that_is_somewhere_else(tmp_path: Path, make_issuer: Make) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "keys").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match="this user alone"):
        await start(make_issuer())


async def test_refuses_a_key_that_others_may_read(tmp_path: Path, make_issuer: Make) -> None:
    async with make_issuer().lifespan(None):
        pass
    [file] = (tmp_path / "keys").iterdir()
    file.chmod(0o640)

    with pytest.raises(ConfigurationError, match="Others may read"):
        await start(make_issuer())


async def test_refuses_a_key_that_is_somewhere_else(tmp_path: Path, make_issuer: Make) -> None:
    async with make_issuer().lifespan(None):
        pass
    [file] = (tmp_path / "keys").iterdir()
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(OSError, match="symbolic links"):
        await start(make_issuer())


@pytest.mark.parametrize("left", [b"", b"{", b"{}", b"[]", b"null"])
async def test_makes_a_key_where_there_is_none(
    tmp_path: Path, make_issuer: Make, clock: ManualClock, left: bytes
) -> None:
    async with make_issuer().lifespan(None):
        pass
    [file] = (tmp_path / "keys").iterdir()
    file.write_bytes(left)
    now = clock.now().timestamp()
    os.utime(file, (now, now))
    service = make_issuer()

    async with service.lifespan(None):
        principal = await verify(service, sign(make_issuer()), clock)

    assert principal.subject == "ann"


async def test_says_that_nobody_writes_a_key(tmp_path: Path, make_issuer: Make) -> None:
    folder = tmp_path / "keys"
    async with make_issuer().lifespan(None):
        [file] = folder.iterdir()
    file.write_bytes(b"")

    # A process that holds the file and has no key: one of another version, say.
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        with pytest.raises(ConfigurationError, match="cannot be read"):
            await start(make_issuer())


def test_many_that_start_at_once_have_one_key(make_issuer: Make) -> None:
    # As processes do: each opens the file by itself, and locks hold between those.
    count = 8
    gate = threading.Barrier(count, timeout=10)

    async def run() -> str:
        gate.wait()
        async with make_issuer().lifespan(None):
            gate.wait()
            kid = kid_of(sign(make_issuer()))
            gate.wait()
        return kid

    with ThreadPoolExecutor(count) as threads:
        runs = [threads.submit(asyncio.run, run()) for _ in range(count)]
        kids = {one.result() for one in runs}

    assert len(kids) == 1


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_refuses_to_start_outside_of_development(
    environment: Literal["staging", "production"],
) -> None:
    with pytest.raises(ConfigurationError, match="for development only"):
        resolve_development_issuer(SETTINGS, environment=environment)


@pytest.mark.parametrize("environment", ["development", "test"])
def test_says_what_its_tokens_are_like(environment: Literal["development", "test"]) -> None:
    resolved = resolve_development_issuer(SETTINGS, environment=environment)

    assert resolved.audience == (AUDIENCE,)
    assert (resolved.issuer, resolved.preset, resolved.algorithms) == (
        ISSUER,
        "standard",
        ("ES256",),
    )


@pytest.mark.parametrize("environment", ["development", "production"])
def test_leaves_other_issuers_alone(
    environment: Literal["development", "production"],
) -> None:
    settings = AuthSettings(issuer="https://id.example", audience=(AUDIENCE,))

    assert resolve_development_issuer(settings, environment=environment) is settings


def test_keys_are_in_a_folder_of_the_user() -> None:
    assert str(os.getuid()) in folder_of_user().name


@pytest.mark.parametrize("number", [0, 1, 2**384 - 1])
def test_any_secret_makes_a_key_and_always_the_same(number: int) -> None:
    secret = number.to_bytes(48)

    first, second = derive_key(secret), derive_key(secret)

    assert first.as_dict(private=True) == second.as_dict(private=True)
    assert first.kid == first.thumbprint()
    assert not public_half(first).is_private
