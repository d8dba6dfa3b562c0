import asyncio
import logging
from datetime import timedelta

import pytest

from fastapi_baseline.auth.users.errors import MailNotSentError
from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.auth.users.outbox import Outbox

LETTER = Letter(to="anna@example.com", subject="Hello", text="https://x.example.com/#secret")


class Sender:
    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = [*outcomes]
        self.letters: list[Letter] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, letter: Letter) -> None:
        await self.gate.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        self.letters.append(letter)


class Naps:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def test_a_letter_goes_out_after_whoever_posts_it_has_gone_on() -> None:
    sender = Sender()
    sender.gate.clear()
    outbox = Outbox(sender)

    async with outbox.lifespan(None):
        await outbox.post(LETTER)
        before = [*sender.letters]
        sender.gate.set()
        await outbox.drain()

    assert (before, sender.letters) == ([], [LETTER])


async def test_without_its_lifespan_a_letter_goes_out_at_once() -> None:
    sender = Sender()
    outbox = Outbox(sender)

    await outbox.post(LETTER)
    await outbox.drain()

    assert sender.letters == [LETTER]


async def test_a_letter_that_is_not_taken_is_sent_again() -> None:
    sender, naps = Sender(MailNotSentError(), MailNotSentError()), Naps()
    outbox = Outbox(sender, sleep=naps)

    async with outbox.lifespan(None):
        await outbox.post(LETTER)
        await outbox.drain()

    assert sender.letters == [LETTER]
    assert naps.seconds == [2, 10]


@pytest.mark.parametrize("error", [MailNotSentError("secret"), RuntimeError("to=#secret")])
async def test_a_letter_that_is_never_taken_is_logged_without_its_link(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    sender = Sender(error, error, error)
    outbox = Outbox(sender, sleep=Naps())

    with caplog.at_level(logging.DEBUG):
        async with outbox.lifespan(None):
            await outbox.post(LETTER)
            await outbox.drain()

    assert sender.letters == []
    assert "A letter is lost: the mail server does not take it." in caplog.messages
    assert "secret" not in caplog.text
    assert "anna" not in caplog.text


async def test_nobody_who_posts_is_told_of_an_error() -> None:
    sender = Sender(MailNotSentError())

    await Outbox(sender).post(LETTER)

    assert sender.letters == []


async def test_what_finds_no_room_is_lost_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    sender = Sender()
    sender.gate.clear()
    outbox = Outbox(sender, max_letters=1)

    async with outbox.lifespan(None):
        for _ in range(10):
            await outbox.post(LETTER)
        sender.gate.set()

    assert len(sender.letters) == 1
    assert "A letter is lost: too many wait for the mail server." in caplog.messages


async def test_at_the_end_letters_are_waited_for() -> None:
    sender = Sender()
    outbox = Outbox(sender)

    async with outbox.lifespan(None):
        for _ in range(20):
            await outbox.post(LETTER)

    assert len(sender.letters) == 20


async def test_at_the_end_a_dead_server_is_not_waited_for_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender = Sender()
    sender.gate.clear()
    outbox = Outbox(sender, patience=timedelta(milliseconds=10))

    async with outbox.lifespan(None):
        for _ in range(6):
            await outbox.post(LETTER)
        await asyncio.sleep(0)

    assert sender.letters == []
    assert "6 letters are lost at the end." in caplog.messages
