import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, delete, event, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.security_events import SecurityEvent
from fastapi_baseline.auth.users import (
    Argon2Cost,
    EmailTakenError,
    InvalidCredentialsError,
    InvalidEmailError,
    InvalidLinkError,
    Letter,
    OneTimeToken,
    Outbox,
    PasswordHasher,
    PasswordNotAcceptedError,
    PasswordPolicy,
    RegistrationClosedError,
    TemplateLetters,
    UserRecord,
    UserService,
    UserServices,
    subject_of,
)
from fastapi_baseline.auth.users.hashing import Verification
from fastapi_baseline.auth.users.repository import repository_of
from fastapi_baseline.auth.users.signing_in import MAX_FAILURES
from fastapi_baseline.errors import (
    BaselineError,
    ConfigurationError,
    NotFoundError,
    UnavailableError,
)
from fastapi_baseline.persistence import Base, Database, SoftDelete, Timestamps, UUIDPrimaryKey
from fastapi_baseline.settings import UserSettings
from fastapi_baseline.testing import ManualClock, PostgresServer

ANNA = "anna@example.com"
GOOD = "correct horse battery"
BETTER = "seven grey whales sing"
SHORT = "plum &8 dw"
CHEAP = Argon2Cost(memory=8, passes=1, threads=1)
SETTINGS = UserSettings(registration="open", page_url="https://shop.example.com/account/")
MICROSECOND = timedelta(microseconds=1)


class Reader(Base, UUIDPrimaryKey, Timestamps, UserRecord):
    __tablename__ = "users_test_reader"

    display_name: Mapped[str] = mapped_column(default="")


class Lodger(Base, UUIDPrimaryKey, SoftDelete, UserRecord):
    """A user who is deleted softly."""

    __tablename__ = "users_test_lodger"


class CountingHasher(PasswordHasher):
    def __init__(self, cost: Argon2Cost = CHEAP) -> None:
        super().__init__(cost=cost)
        self.hashes = 0
        self.verifications = 0
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def hash(self, password: str) -> str:
        self.hashes += 1
        hashed = await super().hash(password)
        if self.meanwhile is not None:
            await self.meanwhile()
        return hashed

    async def verify(self, password: str, stored: str | None) -> Verification:
        self.verifications += 1
        verification = await super().verify(password, stored)
        if self.meanwhile is not None:
            await self.meanwhile()
        return verification


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        self.letters.append(letter)

    @property
    def token(self) -> str:
        """The token in the link of the last letter."""
        (link,) = [line for line in self.letters[-1].text.splitlines() if "https://" in line]
        return link.partition("#")[2]

    @property
    def subjects(self) -> list[str]:
        return [letter.subject for letter in self.letters]


class Events:
    def __init__(self) -> None:
        self.events: list[SecurityEvent] = []

    async def record(self, event: SecurityEvent) -> None:
        self.events.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.events]

    @property
    def reasons(self) -> list[str]:
        return [e.details["reason"] for e in self.events if e.name == "sign_in_refused"]


class Revoker:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str | None]] = []
        self.is_down = False

    async def revoke_all(self, issuer: str, subject: str, *, except_: str | None = None) -> int:
        if self.is_down:
            raise UnavailableError
        self.calls.append((issuer, subject, except_))
        return 1


class Factors:
    def __init__(self) -> None:
        self.subjects: set[str] = set()

    async def is_enabled(self, subject: str) -> bool:
        return subject in self.subjects

    async def remove(self, subject: str) -> None:
        self.subjects.discard(subject)


@dataclass
class World:
    database: Database
    clock: ManualClock
    settings: UserSettings = SETTINGS
    mailbox: Mailbox = field(default_factory=Mailbox)
    events: Events = field(default_factory=Events)
    revoker: Revoker = field(default_factory=Revoker)
    factors: Factors = field(default_factory=Factors)
    hasher: CountingHasher = field(default_factory=CountingHasher)

    @property
    def users(self) -> UserService[Reader]:
        return UserService(repository_of(Reader), self.services)

    @property
    def services(self) -> UserServices:
        return UserServices(
            database=self.database,
            events=self.events,
            hasher=self.hasher,
            letters=TemplateLetters("Shop"),
            outbox=Outbox(self.mailbox),
            policy=PasswordPolicy(settings=self.settings, context=["Shop"]),
            settings=self.settings,
            second_factors=self.factors,
            revokers=[self.revoker],
            clock=self.clock,
        )

    async def add(self, email: str = ANNA, password: str = GOOD) -> Reader:
        """A user who has registered and verified the address."""
        await self.users.register(email, password)
        user = await self.users.verify_email(self.mailbox.token)
        self.mailbox.letters.clear()
        self.events.events.clear()
        self.revoker.calls.clear()
        return user

    async def ask_for_reset(self, email: str = ANNA) -> str:
        await self.users.request_password_reset(email)
        return self.mailbox.token

    async def set(self, user: Reader, **values: Any) -> None:
        async with self.database.transaction() as session:
            await session.execute(update(Reader).where(Reader.id == user.id).values(**values))

    async def remove(self, user: Reader) -> None:
        async with self.database.transaction() as session:
            await session.execute(delete(Reader).where(Reader.id == user.id))

    async def count_users(self) -> int:
        async with self.database.read_transaction() as session:
            return await session.scalar(select(func.count()).select_from(Reader)) or 0


@pytest.fixture(scope="module", params=["sqlite", "asyncpg", "psycopg"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    driver: str = request.param
    if driver == "sqlite":
        folder: Path = tmp_path_factory.mktemp("users")
        yield f"sqlite:///{folder / 'test.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as made:
        yield made.replace("postgresql://", f"postgresql+{driver}://", 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
async def world(url: str, clock: ManualClock) -> AsyncGenerator[World]:
    database = Database(url, clock=clock)
    tables: list[Table[Any]] = [Base.metadata.tables[name] for name in _TABLES]
    async with database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all, tables=tables)
        for table in tables:
            await connection.execute(table.delete())
    yield World(database, clock)
    await database.dispose()


_TABLES = ("users_test_reader", "users_test_lodger", "auth_one_time_token")


async def refusal_of(call: Awaitable[object]) -> str:
    with pytest.raises(BaselineError) as raised:
        await call
    return raised.value.code


async def test_registers_whoever_opens_the_link(world: World) -> None:
    await world.users.register(" Anna@EXAMPLE.com".strip(), GOOD, {"display_name": "Anna"})

    user = await world.users.verify_email(world.mailbox.token)

    assert (user.email, user.display_name, user.roles) == (ANNA, "Anna", [])
    assert user.email_verified_at == world.clock.now()
    assert subject_of(await world.users.authenticate(ANNA, GOOD)) == subject_of(user)
    assert world.events.names == ["user_registered", "email_verified"]


async def test_a_link_leads_to_the_page_of_the_service_with_its_token_in_the_fragment(
    world: World,
) -> None:
    await world.users.register(ANNA, GOOD)

    assert "https://shop.example.com/account/verify-email#" in world.mailbox.letters[0].text


async def test_refuses_to_register_anybody_if_registration_is_closed(world: World) -> None:
    world.settings = UserSettings(page_url="https://x.example.com")

    with pytest.raises(RegistrationClosedError):
        await world.users.register(ANNA, GOOD)

    assert await world.count_users() == 0


@pytest.mark.parametrize(
    "name", ["id", "roles", "email_verified_at", "disabled_at", "password_hash", "failed_attempts"]
)
async def test_nobody_sets_what_the_library_keeps_with_values(world: World, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        await world.users.register(ANNA, GOOD, {name: ["admin"]})

    assert await world.count_users() == 0


async def test_refuses_an_address_that_is_none_before_it_hashes(world: World) -> None:
    with pytest.raises(InvalidEmailError):
        await world.users.register("m\u0131ke@example.com", GOOD)

    assert world.hasher.hashes == 0


async def test_a_known_address_gets_a_letter_and_keeps_its_password(world: World) -> None:
    await world.add()

    await world.users.register("ANNA@example.com", BETTER)

    assert world.mailbox.subjects == ["You have an account at Shop"]
    assert await world.users.authenticate(ANNA, GOOD)
    assert await refusal_of(world.users.authenticate(ANNA, BETTER)) == "invalid_credentials"


async def test_the_letter_to_a_known_address_has_a_link_for_a_new_password(world: World) -> None:
    await world.add()
    await world.users.register(ANNA, BETTER)

    await world.users.reset_password(world.mailbox.token, "a third password, longer")

    assert await world.users.authenticate(ANNA, "a third password, longer")


async def test_a_disabled_user_who_registers_again_gets_no_letter(world: World) -> None:
    user = await world.add()
    await world.users.disable(subject_of(user))

    await world.users.register(ANNA, GOOD)

    assert world.mailbox.letters == []


async def test_who_opens_a_link_gets_the_password_that_was_chosen_with_it(world: World) -> None:
    await world.users.register(ANNA, "what an attacker chose")
    await world.users.register(ANNA, BETTER)
    victims = world.mailbox.token
    await world.users.register(ANNA, "what an attacker chose")

    user = await world.users.verify_email(victims)

    assert await world.users.authenticate(ANNA, BETTER)
    code = await refusal_of(world.users.authenticate(ANNA, "what an attacker chose"))
    assert code == "invalid_credentials"
    assert world.revoker.calls == [("self", subject_of(user), None)] * 2


async def test_a_second_factor_of_before_an_address_was_proven_ends_with_it(world: World) -> None:
    world.settings = UserSettings(
        registration="open", page_url="https://x.example.com", requires_verified_email=False
    )
    await world.users.register(ANNA, "what an attacker chose")
    user = await world.users.authenticate(ANNA, "what an attacker chose")
    world.factors.subjects.add(subject_of(user))
    await world.users.register(ANNA, BETTER)

    await world.users.verify_email(world.mailbox.token)

    assert world.factors.subjects == set()


async def test_all_links_end_once_an_address_is_verified(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    first = world.mailbox.token
    await world.users.register(ANNA, "what an attacker chose")
    attackers = world.mailbox.token
    resetting = await world.ask_for_reset()
    await world.users.verify_email(first)

    for token in (first, attackers):
        with pytest.raises(InvalidLinkError):
            await world.users.verify_email(token)
    with pytest.raises(InvalidLinkError):
        await world.users.reset_password(resetting, BETTER)

    assert await world.users.authenticate(ANNA, GOOD)


async def test_a_registration_that_is_repeated_at_once_makes_one_user(world: World) -> None:
    async with asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(world.users.register(ANNA, GOOD))

    assert await world.count_users() == 1
    assert len(world.mailbox.letters) == 10


async def test_a_link_that_verifies_lasts_a_day(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    late = world.mailbox.token
    world.clock.advance(timedelta(hours=24) - MICROSECOND)
    await world.users.register("otto@example.com", GOOD)
    in_time = world.mailbox.token
    world.clock.advance(MICROSECOND)

    assert await refusal_of(world.users.verify_email(late)) == "invalid_link"
    assert await world.users.verify_email(in_time)


async def test_a_link_is_sent_again_to_who_has_not_verified_an_address(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    world.mailbox.letters.clear()

    await world.users.resend_verification("ANNA@example.com")

    assert (await world.users.verify_email(world.mailbox.token)).email == ANNA
    assert await world.users.authenticate(ANNA, GOOD)


@pytest.mark.parametrize("email", [ANNA, "nobody@example.com", "no address"])
async def test_no_link_is_sent_again_to_others_and_nobody_is_told(world: World, email: str) -> None:
    await world.add()

    await world.users.resend_verification(email)

    assert world.mailbox.letters == []


async def _work(world: World, call: Awaitable[object]) -> tuple[list[str], int, int]:
    """Return what a call sends to the database, by its kind, and how often it hashes."""
    sent: list[str] = []

    def note(*details: Any) -> None:
        statement: str = details[2].split()[0]
        if statement in {"INSERT", "UPDATE"}:
            sent.append("write")
        elif statement == "DELETE":
            sent.append(statement)

    engine = world.database.engine.sync_engine
    before = world.hasher.hashes, world.hasher.verifications
    event.listen(engine, "before_cursor_execute", note)
    await asyncio.gather(call, return_exceptions=True)
    event.remove(engine, "before_cursor_execute", note)
    hashes, verifications = world.hasher.hashes, world.hasher.verifications
    return sorted(set(sent)), hashes - before[0], verifications - before[1]


async def test_unknown_and_known_addresses_take_the_same_work_to_register(world: World) -> None:
    await world.add()

    known = await _work(world, world.users.register(ANNA, BETTER))
    unknown = await _work(world, world.users.register("new@example.com", BETTER))

    assert known == unknown == (["DELETE", "write"], 1, 0)


@pytest.mark.parametrize("email", [ANNA, "nobody@example.com", "no address"])
async def test_each_request_for_a_new_password_takes_the_same_work(
    world: World, email: str
) -> None:
    await world.add()

    work = await _work(world, world.users.request_password_reset(email))

    assert work == (["DELETE", "write"], 0, 0)


@pytest.mark.parametrize(
    "email", [ANNA, "nobody@example.com", "no address", "new@example.com", "off@example.com"]
)
async def test_each_refusal_takes_one_hash_and_one_write(world: World, email: str) -> None:
    await world.add()
    await world.users.register("new@example.com", GOOD)
    await world.users.disable(subject_of(await world.add("off@example.com")))
    password = BETTER if email == ANNA else GOOD

    kinds, hashes, verifications = await _work(world, world.users.authenticate(email, password))

    assert ("write" in kinds, hashes, verifications) == (True, 0, 1)


async def test_what_is_nobodys_is_not_kept(world: World) -> None:
    for number in range(5):
        await world.users.request_password_reset(f"nobody{number}@example.com")

    async with world.database.read_transaction() as session:
        count = await session.scalar(select(func.count()).select_from(OneTimeToken))
    assert count == 0


async def test_every_refusal_says_the_same(world: World) -> None:
    await world.add()
    await world.users.register("new@example.com", GOOD)
    await world.users.disable(subject_of(await world.add("off@example.com")))
    await world.users.invite("invited@example.com")
    world.events.events.clear()

    messages: set[str] = set()
    for email, password in [
        (ANNA, BETTER),
        ("nobody@example.com", GOOD),
        ("new@example.com", GOOD),
        ("off@example.com", GOOD),
        ("invited@example.com", GOOD),
        (ANNA, "x" * 1025),
        (ANNA, "\ud800" * 15),
    ]:
        with pytest.raises(InvalidCredentialsError) as raised:
            await world.users.authenticate(email, password)
        messages.add(str(raised.value))

    assert len(messages) == 1
    assert world.events.reasons == [
        "wrong_password",
        "unknown",
        "unverified",
        "disabled",
        "no_password",
        "wrong_password",
        "wrong_password",
    ]


async def test_who_has_not_verified_an_address_signs_in_if_the_service_lets_them(
    world: World,
) -> None:
    world.settings = UserSettings(
        registration="open", page_url="https://x.example.com", requires_verified_email=False
    )
    await world.users.register(ANNA, GOOD)

    assert (await world.users.authenticate(ANNA, GOOD)).email_verified_at is None


async def test_a_password_is_right_however_its_characters_are_composed(world: World) -> None:
    await world.add(password="crème brûlée ﬁnale")

    decomposed = "cre\u0300me bru\u0302le\u0301e finale"

    assert await world.users.authenticate(ANNA, decomposed)


async def test_nothing_of_a_long_password_is_cut_off(world: World) -> None:
    long = "wide oaks " * 20
    await world.add(password=long)

    assert await refusal_of(world.users.authenticate(ANNA, long[:72])) == "invalid_credentials"
    assert await world.users.authenticate(ANNA, long)


async def test_a_hash_of_before_is_replaced_when_its_user_signs_in(world: World) -> None:
    user = await world.add()
    weak = (await world.users.get(subject_of(user))).password_hash
    world.hasher = CountingHasher(Argon2Cost(memory=16, passes=1, threads=1))

    await world.users.authenticate(ANNA, GOOD)

    strong = (await world.users.get(subject_of(user))).password_hash
    assert (weak or "").startswith("$argon2id$v=19$m=8,")
    assert (strong or "").startswith("$argon2id$v=19$m=16,")
    assert await world.users.authenticate(ANNA, GOOD)


async def test_failures_are_counted_and_a_success_ends_the_row(world: World) -> None:
    user = await world.add()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(refusal_of(world.users.authenticate(ANNA, BETTER)))

    assert (await world.users.get(subject_of(user))).failed_attempts == 5
    assert (await world.users.authenticate(ANNA, GOOD)).failed_attempts == 0


async def test_what_is_done_on_a_known_device_says_nothing_of_those_who_guess(
    world: World,
) -> None:
    user = await world.add()
    await refusal_of(world.users.authenticate(ANNA, BETTER))

    await refusal_of(world.users.authenticate(ANNA, BETTER, is_known_device=True))
    await world.users.authenticate(ANNA, GOOD, is_known_device=True)

    assert (await world.users.get(subject_of(user))).failed_attempts == 1


async def test_a_hundred_failures_close_all_but_known_devices(world: World) -> None:
    user = await world.add()
    await world.set(user, failed_attempts=MAX_FAILURES - 1)

    before = await world.users.authenticate(ANNA, GOOD, is_known_device=True)
    await refusal_of(world.users.authenticate(ANNA, BETTER))

    assert before.failed_attempts == 99
    assert await refusal_of(world.users.authenticate(ANNA, GOOD)) == "invalid_credentials"
    assert world.events.reasons[-1] == "too_many_failures"
    await refusal_of(world.users.authenticate(ANNA, BETTER))
    assert await world.users.authenticate(ANNA, GOOD, is_known_device=True)
    assert world.mailbox.subjects == ["Many failed attempts to sign in at Shop"]


async def test_the_ninety_ninth_failure_closes_nothing(world: World) -> None:
    user = await world.add()
    await world.set(user, failed_attempts=MAX_FAILURES - 1)

    assert (await world.users.authenticate(ANNA, GOOD)).failed_attempts == 0


async def test_a_new_password_opens_what_failures_have_closed(world: World) -> None:
    user = await world.add()
    await world.set(user, failed_attempts=MAX_FAILURES)

    await world.users.reset_password(await world.ask_for_reset(), BETTER)

    assert await world.users.authenticate(ANNA, BETTER)


@pytest.mark.parametrize("is_known_device", [True, False])
async def test_a_password_that_is_changed_while_it_is_compared_is_wrong(
    world: World, is_known_device: bool
) -> None:
    user = await world.add()
    hashed = await world.hasher.hash(BETTER)
    world.hasher.meanwhile = lambda: world.set(user, password_hash=hashed)

    code = await refusal_of(world.users.authenticate(ANNA, GOOD, is_known_device=is_known_device))

    assert code == "invalid_credentials"


async def test_a_user_who_is_disabled_meanwhile_does_not_sign_in(world: World) -> None:
    user = await world.add()
    world.hasher.meanwhile = lambda: world.set(user, disabled_at=world.clock.now())

    assert await refusal_of(world.users.authenticate(ANNA, GOOD)) == "invalid_credentials"


@pytest.mark.parametrize("is_known_device", [True, False])
@pytest.mark.parametrize("password", [GOOD, BETTER])
async def test_a_user_who_is_deleted_meanwhile_does_not_sign_in(
    world: World, password: str, is_known_device: bool
) -> None:
    user = await world.add()
    await refusal_of(world.users.authenticate(ANNA, BETTER))
    world.hasher.meanwhile = lambda: world.remove(user)

    code = await refusal_of(
        world.users.authenticate(ANNA, password, is_known_device=is_known_device)
    )

    assert code == "invalid_credentials"


async def test_a_user_who_has_signed_in_proves_again_who_they_are(world: World) -> None:
    user = await world.add()
    await world.set(user, failed_attempts=MAX_FAILURES)

    assert (await world.users.check_password(subject_of(user), GOOD)).id == user.id
    assert await refusal_of(world.users.check_password(subject_of(user), BETTER))


async def test_a_password_that_is_changed_while_it_proves_something_proves_nothing(
    world: World,
) -> None:
    user = await world.add()
    world.hasher.meanwhile = lambda: world.set(user, disabled_at=world.clock.now())

    code = await refusal_of(world.users.check_password(subject_of(user), GOOD))

    assert code == "invalid_credentials"


async def test_a_user_is_unchanged_until_something_changes(world: World) -> None:
    await world.add()
    user = await world.users.authenticate(ANNA, GOOD)

    before = await world.users.is_unchanged(user)
    await world.users.set_roles(subject_of(user), ["clerk"])
    after = await world.users.is_unchanged(user)
    await world.users.delete(subject_of(user))

    assert (before, after) == (True, False)
    assert not await world.users.is_unchanged(user)


async def test_who_knows_the_password_changes_it(world: World) -> None:
    user = await world.add()
    subject = subject_of(user)
    link = await world.ask_for_reset()
    world.mailbox.letters.clear()

    await world.users.change_password(subject, current=GOOD, new=BETTER, keep_session="mine")

    assert await world.users.authenticate(ANNA, BETTER)
    assert await refusal_of(world.users.authenticate(ANNA, GOOD)) == "invalid_credentials"
    assert await refusal_of(world.users.reset_password(link, GOOD)) == "invalid_link"
    assert world.revoker.calls == [("self", subject, "mine")] * 2
    assert "password_changed" in world.events.names
    assert world.mailbox.subjects == ["Your password for Shop was changed"]


async def test_who_does_not_know_the_password_does_not_change_it(world: World) -> None:
    user = await world.add()

    with pytest.raises(InvalidCredentialsError):
        await world.users.change_password(subject_of(user), current=BETTER, new=BETTER)

    assert world.revoker.calls == []
    assert await world.users.authenticate(ANNA, GOOD)


async def test_of_two_who_change_a_password_at_once_one_does(world: World) -> None:
    subject = subject_of(await world.add())

    changes = [
        world.users.change_password(subject, current=GOOD, new=f"{BETTER} {number}")
        for number in range(2)
    ]
    outcomes = await asyncio.gather(*changes, return_exceptions=True)

    assert sorted(type(one).__name__ for one in outcomes) == ["InvalidCredentialsError", "Reader"]


async def test_parts_of_the_address_and_the_service_make_no_password(world: World) -> None:
    user = await world.add()

    with pytest.raises(PasswordNotAcceptedError) as raised:
        await world.users.change_password(subject_of(user), current=GOOD, new="anna@example.com 1")

    (wrong,) = raised.value.fields
    assert (wrong.path, wrong.code) == (("new_password",), "password_too_common")


async def test_a_second_factor_makes_a_short_password_enough(world: World) -> None:
    user = await world.add()
    with pytest.raises(PasswordNotAcceptedError):
        await world.users.change_password(subject_of(user), current=GOOD, new=SHORT)
    world.factors.subjects.add(subject_of(user))

    changed = await world.users.change_password(subject_of(user), current=GOOD, new=SHORT)

    assert changed.is_password_short
    assert not user.is_password_short


async def test_a_link_gives_a_new_password_once(world: World) -> None:
    user = await world.add()
    token = await world.ask_for_reset("ANNA@example.com")

    await world.users.reset_password(token, BETTER)

    assert await world.users.authenticate(ANNA, BETTER)
    assert await refusal_of(world.users.reset_password(token, GOOD)) == "invalid_link"
    assert world.revoker.calls == [("self", subject_of(user), None)] * 2
    assert world.events.names == ["password_reset_requested", "password_reset"]


async def test_of_ten_who_open_a_link_at_once_one_gets_a_new_password(world: World) -> None:
    await world.add()
    token = await world.ask_for_reset()

    resets = [world.users.reset_password(token, f"{BETTER} {number}") for number in range(10)]
    outcomes = await asyncio.gather(*resets, return_exceptions=True)

    winners = [number for number, one in enumerate(outcomes) if isinstance(one, Reader)]
    losers = {type(one) for one in outcomes if not isinstance(one, Reader)}
    assert (len(winners), losers) == (1, {InvalidLinkError})
    assert await world.users.authenticate(ANNA, f"{BETTER} {winners[0]}")


async def test_a_link_for_a_new_password_lasts_half_an_hour(world: World) -> None:
    await world.add()
    token = await world.ask_for_reset()
    world.clock.advance(timedelta(minutes=30) - MICROSECOND)
    before = await refusal_of(world.users.reset_password(token, "short"))
    world.clock.advance(MICROSECOND)

    after = await refusal_of(world.users.reset_password(token, "short"))

    assert (before, after) == ("password_not_accepted", "invalid_link")


async def test_a_password_that_breaks_a_rule_does_not_use_the_link_up(world: World) -> None:
    await world.add()
    token = await world.ask_for_reset()
    await refusal_of(world.users.reset_password(token, "password1234567"))

    await world.users.reset_password(token, BETTER)

    assert await world.users.authenticate(ANNA, BETTER)


async def test_a_link_is_good_for_one_purpose_only(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    verifying = world.mailbox.token
    resetting = await world.ask_for_reset()

    assert await refusal_of(world.users.reset_password(verifying, BETTER)) == "invalid_link"
    assert await refusal_of(world.users.verify_email(resetting)) == "invalid_link"


@pytest.mark.parametrize("changed", ["email", "password_changed_at", "disabled_at"])
async def test_a_link_ends_when_the_account_changes_by_whatever_way(
    world: World, changed: str
) -> None:
    user = await world.add()
    token = await world.ask_for_reset()
    value = "new@example.com" if changed == "email" else world.clock.now()
    await world.set(user, **{changed: value})

    assert await refusal_of(world.users.reset_password(token, BETTER)) == "invalid_link"


@pytest.mark.parametrize("changed", ["email", "password_changed_at", "disabled_at"])
async def test_a_link_ends_when_the_account_changes_while_the_password_is_hashed(
    world: World, changed: str
) -> None:
    user = await world.add()
    token = await world.ask_for_reset()
    value = "new@example.com" if changed == "email" else world.clock.now()
    world.hasher.meanwhile = lambda: world.set(user, **{changed: value})

    assert await refusal_of(world.users.reset_password(token, BETTER)) == "invalid_link"


async def test_a_link_that_expires_while_the_password_is_hashed_is_over(world: World) -> None:
    await world.add()
    token = await world.ask_for_reset()

    async def wait() -> None:
        world.clock.advance(SETTINGS.reset_lifetime)

    world.hasher.meanwhile = wait

    assert await refusal_of(world.users.reset_password(token, BETTER)) == "invalid_link"


async def test_a_disabled_user_verifies_no_address(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    user = await world.users.find_by_email(ANNA)
    assert user is not None
    await world.set(user, disabled_at=world.clock.now())

    assert await refusal_of(world.users.verify_email(world.mailbox.token)) == "invalid_link"


async def test_a_user_is_found_by_an_address_in_whatever_form(world: World) -> None:
    user = await world.add()

    found = await world.users.find_by_email("ANNA@Example.com")

    assert found is not None
    assert found.id == user.id
    assert await world.users.find_by_email("no address") is None


@pytest.mark.parametrize("token", ["", "x" * 64, "x" * 1_000_000, "\x00", "ü", "' OR 1=1 --"])
async def test_a_token_that_is_none_is_refused(world: World, token: str) -> None:
    await world.add()
    await world.ask_for_reset()

    assert await refusal_of(world.users.reset_password(token, BETTER)) == "invalid_link"
    assert await refusal_of(world.users.verify_email(token)) == "invalid_link"


async def test_a_letter_goes_to_the_address_that_is_stored(world: World) -> None:
    await world.add("anna@xn--bcher-kva.example.com")

    await world.users.request_password_reset("ANNA@bücher.example.com")
    await world.users.request_password_reset("anna@bucher.example.com")

    assert [letter.to for letter in world.mailbox.letters] == ["anna@xn--bcher-kva.example.com"]


async def test_a_link_for_a_new_password_verifies_the_address_too(world: World) -> None:
    await world.users.register(ANNA, "what an attacker chose")
    user = await world.users.find_by_email(ANNA)
    assert user is not None
    world.factors.subjects.add(subject_of(user))

    await world.users.reset_password(await world.ask_for_reset(), BETTER)

    assert await world.users.authenticate(ANNA, BETTER)
    assert world.factors.subjects == set()


async def test_a_verified_user_keeps_the_second_factor_with_a_new_password(world: World) -> None:
    user = await world.add()
    world.factors.subjects.add(subject_of(user))

    await world.users.reset_password(await world.ask_for_reset(), BETTER)

    assert world.factors.subjects == {subject_of(user)}


async def test_who_is_invited_chooses_a_password(world: World) -> None:
    user = await world.users.invite("Boss@Example.com", roles=["admin", "admin"])
    await world.users.reset_password(world.mailbox.token, BETTER)

    boss = await world.users.authenticate("boss@example.com", BETTER)

    assert (boss.id, boss.roles) == (user.id, ["admin"])


async def test_nobody_is_invited_twice(world: World) -> None:
    await world.add()

    with pytest.raises(EmailTakenError):
        await world.users.invite("ANNA@example.com")

    assert world.mailbox.letters == []


async def test_who_is_disabled_loses_everything_until_enabled(world: World) -> None:
    user = await world.add()
    subject = subject_of(user)
    token = await world.ask_for_reset()

    disabled = await world.users.disable(subject)
    code = await refusal_of(world.users.authenticate(ANNA, GOOD))
    link = await refusal_of(world.users.reset_password(token, BETTER))
    await world.users.enable(subject)
    later = await refusal_of(world.users.reset_password(token, BETTER))

    assert disabled.disabled_at == world.clock.now()
    assert (code, link, later) == ("invalid_credentials", "invalid_link", "invalid_link")
    assert world.revoker.calls == [("self", subject, None)] * 2
    assert await world.users.authenticate(ANNA, GOOD)
    assert [name for name in world.events.names if name.startswith("user_")] == [
        "user_disabled",
        "user_enabled",
    ]


async def test_a_disabled_user_gets_no_link(world: World) -> None:
    user = await world.add()
    await world.users.disable(subject_of(user))

    await world.users.request_password_reset(ANNA)

    assert world.mailbox.letters == []


async def test_nothing_is_left_of_a_user_who_is_deleted(world: World) -> None:
    user = await world.add()
    subject = subject_of(user)
    token = await world.ask_for_reset()
    world.factors.subjects.add(subject)

    await world.users.delete(subject)

    assert await world.count_users() == 0
    assert world.factors.subjects == set()
    assert world.revoker.calls == [("self", subject, None)] * 2
    assert await refusal_of(world.users.reset_password(token, BETTER)) == "invalid_link"
    assert await refusal_of(world.users.authenticate(ANNA, GOOD)) == "invalid_credentials"


async def test_a_user_who_was_deleted_softly_is_told_apart_by_nobody(world: World) -> None:
    lodgers = UserService(repository_of(Lodger), world.services)
    await lodgers.register(ANNA, GOOD)
    user = await lodgers.verify_email(world.mailbox.token)
    await lodgers.delete(subject_of(user))
    world.mailbox.letters.clear()

    await lodgers.register(ANNA, BETTER)
    await lodgers.request_password_reset(ANNA)

    assert world.mailbox.letters == []
    for password in (GOOD, BETTER):
        assert await refusal_of(lodgers.authenticate(ANNA, password)) == "invalid_credentials"
    with pytest.raises(EmailTakenError):
        await lodgers.invite(ANNA)


async def test_other_roles_end_sessions_and_the_same_ones_do_not(world: World) -> None:
    user = await world.add()

    await world.users.set_roles(subject_of(user), ["b", "a", "b"])
    calls = [*world.revoker.calls]
    await world.users.set_roles(subject_of(user), ["a", "b"])

    assert (await world.users.get(subject_of(user))).roles == ["a", "b"]
    assert calls == world.revoker.calls == [("self", subject_of(user), None)] * 2
    assert world.events.names == ["roles_changed"]


@pytest.mark.parametrize("subject", ["00000000-0000-0000-0000-000000000000", "nobody", ""])
async def test_there_is_nothing_to_do_with_a_user_who_is_not_there(
    world: World, subject: str
) -> None:
    for call in (
        world.users.get(subject),
        world.users.disable(subject),
        world.users.enable(subject),
        world.users.delete(subject),
        world.users.set_roles(subject, ["a"]),
        world.users.change_password(subject, current=GOOD, new=BETTER),
    ):
        with pytest.raises(NotFoundError):
            await call


async def test_nothing_changes_while_sessions_cannot_be_ended(world: World) -> None:
    user = await world.add()
    subject = subject_of(user)
    token = await world.ask_for_reset()
    world.revoker.is_down = True

    for call in (
        world.users.disable(subject),
        world.users.delete(subject),
        world.users.set_roles(subject, ["a"]),
        world.users.change_password(subject, current=GOOD, new=BETTER),
        world.users.reset_password(token, BETTER),
    ):
        with pytest.raises(UnavailableError):
            await call

    world.revoker.is_down = False
    assert (await world.users.authenticate(ANNA, GOOD)).roles == []
    assert await world.users.reset_password(token, BETTER)


async def test_links_that_are_over_are_purged(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    world.clock.advance(timedelta(hours=24))
    await world.users.register("otto@example.com", GOOD)

    purged = await world.users.purge_links()

    assert purged == 1
    assert await world.users.verify_email(world.mailbox.token)


async def test_the_database_has_neither_tokens_nor_passwords(world: World) -> None:
    await world.users.register(ANNA, GOOD)
    await world.users.register(ANNA, BETTER)

    async with world.database.engine.connect() as connection:
        rows = [
            str((await connection.execute(select(Base.metadata.tables[name]))).all())
            for name in _TABLES
        ]

    dump = "".join(rows)
    assert "$argon2id$" in dump
    assert not any(secret in dump for secret in (GOOD, BETTER, world.mailbox.token))
