from datetime import timedelta
from typing import get_args

import pytest

from fastapi_baseline.auth.users.letters import (
    TEMPLATES,
    LetterKind,
    LetterTemplate,
    TemplateLetters,
)
from fastapi_baseline.errors import ConfigurationError

LINK = "https://shop.example.com/reset-password#abc"


def test_there_is_a_template_for_every_letter() -> None:
    assert {*TEMPLATES} == {*get_args(LetterKind)}


def test_a_letter_names_the_service_the_link_and_how_long_it_lasts() -> None:
    letter = TemplateLetters("Shop").write(
        "reset_password", to="anna@example.com", link=LINK, lifetime=timedelta(minutes=30)
    )

    assert (letter.to, letter.subject) == ("anna@example.com", "Choose a new password for Shop")
    assert f"\n{LINK}\n" in letter.text
    assert "30 minutes" in letter.text


@pytest.mark.parametrize(
    ("lifetime", "words"),
    [
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(minutes=10), "10 minutes"),
    ],
)
def test_a_lifetime_is_told_in_words(lifetime: timedelta, words: str) -> None:
    letter = TemplateLetters("Shop").write("verify_email", to="", link=LINK, lifetime=lifetime)

    assert f"within {words}:" in letter.text


@pytest.mark.parametrize("kind", get_args(LetterKind))
def test_no_letter_has_a_name_left_in_it(kind: LetterKind) -> None:
    letter = TemplateLetters("Shop").write(kind, to="", link=LINK, lifetime=timedelta(hours=1))

    assert "$" not in letter.subject + letter.text
    assert "Shop" in letter.subject
    assert (LINK in letter.text) == ("$link" in TEMPLATES[kind].text)


def test_a_service_has_letters_of_its_own() -> None:
    own = LetterTemplate(subject="Neues Passwort", text="$service: $link")

    letters = TemplateLetters("Laden", templates={"reset_password": own})

    letter = letters.write("reset_password", to="", link=LINK)
    assert (letter.subject, letter.text) == ("Neues Passwort", f"Laden: {LINK}")
    assert "Laden" in letters.write("password_changed", to="").subject


@pytest.mark.parametrize("text", ["$nothing", "for 5$ only"])
def test_a_template_with_a_mistake_is_found_at_once(text: str) -> None:
    own = LetterTemplate(subject="", text=text)

    with pytest.raises(ConfigurationError, match="reset_password"):
        TemplateLetters("Shop", templates={"reset_password": own})


def test_a_template_of_no_letter_is_found_at_once() -> None:
    own = LetterTemplate(subject="", text="")

    with pytest.raises(ConfigurationError, match="reset_pasword"):
        TemplateLetters("Shop", templates={"reset_pasword": own})  # pyright: ignore[reportArgumentType] -- the mistake
