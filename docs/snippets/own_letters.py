"""Letters to users in words, and in the way, of the service's own."""

from datetime import timedelta

from fastapi_baseline.auth.users import Letter, LetterTemplate, TemplateLetters, make_users_router
from fastapi_baseline.auth.users.letters import LetterKind
from fastapi_baseline.auth.users.models import UserRecord
from fastapi_baseline.persistence import Base, UUIDPrimaryKey


class Subscriber(Base, UUIDPrimaryKey, UserRecord):
    """A user of the service."""


# <start-templates>
letters = TemplateLetters(
    "Buchladen",
    templates={
        "reset_password": LetterTemplate(
            subject="Neues Passwort für $service",
            text="Innerhalb von $lifetime hier wählen:\n\n$link\n",
        )
    },
)
# <end-templates>


# <start-writer>
class HtmlLetters:
    """Writes letters with HTML beside the text."""

    def write(
        self,
        kind: LetterKind,
        *,
        to: str,
        link: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Letter:
        """Return a letter."""
        plain = letters.write(kind, to=to, link=link, lifetime=lifetime)
        button = "" if link is None else f'<p><a href="{link}">{plain.subject}</a></p>'
        return Letter(to=to, subject=plain.subject, text=plain.text, html=button or None)


router = make_users_router(Subscriber, letters=HtmlLetters())
# <end-writer>


def test_a_template_has_the_link_in_it() -> None:
    letter = letters.write(
        "reset_password",
        to="anna@example.com",
        link="https://laden.example.com/reset-password#abc",
        lifetime=timedelta(minutes=30),
    )

    assert letter.subject == "Neues Passwort für Buchladen"
    assert "https://laden.example.com/reset-password#abc" in letter.text


def test_html_comes_beside_the_text() -> None:
    letter = HtmlLetters().write(
        "reset_password",
        to="anna@example.com",
        link="https://laden.example.com/reset-password#abc",
        lifetime=timedelta(minutes=30),
    )
    plain = HtmlLetters().write("password_changed", to="anna@example.com")

    assert letter.html is not None
    assert 'href="https://laden.example.com/reset-password#abc"' in letter.html
    assert plain.html is None
