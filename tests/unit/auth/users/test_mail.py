import logging

import pytest

from fastapi_baseline.auth.users.mail import ConsoleMailSender, Letter

LETTER = Letter(to="anna@example.com", subject="Hello", text="One\n\nhttps://x.example.com/#abc\n")


def test_a_letter_shows_neither_its_reader_nor_its_link() -> None:
    assert repr(LETTER) == "Letter(subject='Hello')"


async def test_the_console_shows_all_of_a_letter_and_no_empty_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "fastapi_baseline.auth.mail"):
        await ConsoleMailSender().send(LETTER)

    assert caplog.messages == [
        "A letter to anna@example.com: Hello",
        "    One",
        "    https://x.example.com/#abc",
    ]
