import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from pwdlib.hashers import HasherProtocol
from pwdlib.hashers.argon2 import Argon2Hasher

from fastapi_baseline.auth.users.errors import HashingBusyError
from fastapi_baseline.auth.users.hashing import RECOMMENDED, Argon2Cost, PasswordHasher

CHEAP = Argon2Cost(memory=8, passes=1, threads=1)


class Plain(HasherProtocol):
    """A hash of other times, which also waits until it is let go on."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    @classmethod
    def identify(cls, hash: str | bytes) -> bool:  # noqa: A002 -- named so by pwdlib
        return str(hash).startswith("plain:")

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        del salt
        return f"plain:{password!s}"

    def verify(self, password: str | bytes, hash: str | bytes) -> bool:  # noqa: A002 -- named so by pwdlib
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.gate.wait(10)
        with self._lock:
            self.running -= 1
        return hash == f"plain:{password!s}"

    def check_needs_rehash(self, hash: str | bytes) -> bool:  # noqa: A002 -- named so by pwdlib
        del hash
        return False


async def test_a_hash_is_that_of_one_password() -> None:
    hasher = PasswordHasher(cost=CHEAP)
    first, second = await hasher.hash("plum"), await hasher.hash("plum")

    assert first != second
    assert (await hasher.verify("plum", first)).is_right
    assert not (await hasher.verify("plums", first)).is_right


async def test_costs_what_is_recommended() -> None:
    assert (RECOMMENDED.memory, RECOMMENDED.passes, RECOMMENDED.threads) == (65_536, 3, 1)
    assert (await PasswordHasher().hash("plum")).startswith("$argon2id$v=19$m=65536,t=3,p=1$")


async def test_a_cheaper_hash_comes_with_a_new_one() -> None:
    cheap = await PasswordHasher(cost=CHEAP).hash("plum")
    hasher = PasswordHasher(cost=Argon2Cost(memory=16, passes=1, threads=1))

    verification = await hasher.verify("plum", cheap)

    assert verification.is_right
    assert (verification.updated_hash or "").startswith("$argon2id$v=19$m=16,")
    assert (await hasher.verify("plums", cheap)).updated_hash is None


async def test_a_hash_of_another_kind_is_replaced() -> None:
    plain = Plain()
    plain.gate.set()
    hasher = PasswordHasher(cost=CHEAP, also=[plain])

    verification = await hasher.verify("plum", "plain:plum")

    assert (verification.updated_hash or "").startswith("$argon2id$")


@pytest.mark.parametrize("stored", [None, "", "!", "$2b$12$unknown", "$argon2id$v=19$m=8,t=1,p=1"])
async def test_without_a_hash_nobody_is_right(stored: str | None) -> None:
    hasher = PasswordHasher(cost=CHEAP)

    verification = await hasher.verify("plum", stored)

    assert (verification.is_right, verification.updated_hash) == (False, None)


@pytest.mark.parametrize("stored", [None, "!"])
async def test_without_a_hash_as_much_memory_is_filled(
    stored: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    verify = Argon2Hasher.verify

    def watched(self: Argon2Hasher, password: str | bytes, stored: str | bytes) -> bool:
        verified.append(str(stored))
        return verify(self, password, stored)

    monkeypatch.setattr(Argon2Hasher, "verify", watched)

    await PasswordHasher(cost=Argon2Cost(memory=64, passes=2, threads=1)).verify("plum", stored)

    assert [one.split("$")[3] for one in verified] == ["m=64,t=2,p=1"]


@asynccontextmanager
async def _waiting(hasher: PasswordHasher, count: int) -> AsyncGenerator[list[asyncio.Task[bool]]]:
    async def verify() -> bool:
        return (await hasher.verify("plum", "plain:plum")).is_right

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(verify()) for _ in range(count)]
        await asyncio.sleep(0)
        yield tasks


async def test_no_more_are_hashed_at_a_time_than_memory_was_set_aside_for() -> None:
    plain = Plain()
    hasher = PasswordHasher(workers=2, cost=CHEAP, also=[plain])

    async with _waiting(hasher, 12) as tasks:
        while plain.running < 2:  # noqa: ASYNC110 -- threads set no event of this loop
            await asyncio.sleep(0.001)
        plain.gate.set()

    assert plain.most == 2
    assert all(task.result() for task in tasks)


async def test_who_finds_too_many_waiting_is_asked_to_come_back() -> None:
    plain = Plain()
    hasher = PasswordHasher(workers=1, max_waiting=3, cost=CHEAP, also=[plain])

    async with _waiting(hasher, 4):
        with pytest.raises(HashingBusyError) as raised:
            await hasher.hash("plum")
        plain.gate.set()

    assert raised.value.retry_after is not None
    assert await hasher.hash("plum")


async def test_who_goes_away_gives_the_place_back() -> None:
    plain = Plain()
    hasher = PasswordHasher(workers=1, max_waiting=1, cost=CHEAP, also=[plain])

    async with _waiting(hasher, 2) as tasks:
        tasks[1].cancel()
        await asyncio.wait([tasks[1]])
        late = asyncio.ensure_future(hasher.hash("plum"))
        plain.gate.set()

    assert await late


async def test_the_event_loop_goes_on_meanwhile() -> None:
    plain = Plain()
    hasher = PasswordHasher(workers=1, cost=CHEAP, also=[plain])
    beats = 0

    async with _waiting(hasher, 1) as tasks:
        while plain.running == 0 or beats < 10:
            await asyncio.sleep(0)
            beats += 1
        plain.gate.set()

    assert tasks[0].result()
