"""What letters say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from string import Template
from typing import Literal, Protocol, get_args

from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.errors import ConfigurationError

LetterKind = Literal[
    "already_registered",
    "invitation",
    "password_changed",
    "recovery_code_used",
    "reset_password",
    "second_factor_disabled",
    "second_factor_enabled",
    "sign_ins_blocked",
    "verify_email",
]
"""All letters that there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterTemplate:
    """The subject and the text of a letter, with `$service`, `$link` and `$lifetime` in them."""

    subject: str
    text: str


class LetterWriter(Protocol):
    """What writes letters; implement it for other languages or for HTML."""

    def write(
        self,
        kind: LetterKind,
        *,
        to: str,
        link: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Letter:
        """Return a letter; some have a link, which is good for a `lifetime`."""
        ...


class TemplateLetters:
    """Writes letters from templates: those below, or the service's own."""

    def __init__(
        self, service_name: str, *, templates: Mapping[LetterKind, LetterTemplate] | None = None
    ) -> None:
        """Write in the name of a service; `templates` take the place of the library's.

        Raises:
            ConfigurationError: If a template has an unknown name in it, or is of no letter.
        """
        self._service_name = service_name
        self._templates: dict[LetterKind, LetterTemplate] = {**TEMPLATES, **(templates or {})}
        if unknown := self._templates.keys() - get_args(LetterKind):
            raise ConfigurationError(f"There are no such letters: {sorted(unknown)}")
        for kind in self._templates:
            try:
                self.write(kind, to="", link="", lifetime=timedelta(hours=1))
            except (KeyError, ValueError) as error:
                message = f"The template {kind!r} may have $service, $link and $lifetime in it."
                raise ConfigurationError(message) from error

    def write(
        self,
        kind: LetterKind,
        *,
        to: str,
        link: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Letter:
        """Return a letter."""
        template = self._templates[kind]
        values = {
            "service": self._service_name,
            "link": link or "",
            "lifetime": "" if lifetime is None else _in_words(lifetime),
        }
        return Letter(
            to=to,
            subject=Template(template.subject).substitute(values),
            text=Template(template.text).substitute(values),
        )


def _in_words(lifetime: timedelta) -> str:
    minutes = round(lifetime.total_seconds() / 60)
    if minutes >= 120 and minutes % 60 == 0:  # noqa: PLR2004 -- two hours
        return f"{minutes // 60} hours"
    return "1 hour" if minutes == 60 else f"{minutes} minutes"  # noqa: PLR2004 -- one hour


TEMPLATES: Mapping[LetterKind, LetterTemplate] = {
    "verify_email": LetterTemplate(
        subject="Confirm your address for $service",
        text="""\
Somebody has registered at $service with this address.

If it was you, confirm the address within $lifetime:

$link

If it was not you, ignore this letter: without the link nobody can sign in.
""",
    ),
    "already_registered": LetterTemplate(
        subject="You have an account at $service",
        text="""\
Somebody has tried to register at $service with this address, which has an account already.

If it was you, sign in. If you have forgotten your password, choose a new one within $lifetime:

$link

If it was not you, ignore this letter: nothing has changed.
""",
    ),
    "invitation": LetterTemplate(
        subject="You are invited to $service",
        text="""\
An account at $service was made for you.

Choose your password within $lifetime:

$link
""",
    ),
    "reset_password": LetterTemplate(
        subject="Choose a new password for $service",
        text="""\
Somebody has asked for a new password for your account at $service.

If it was you, choose one within $lifetime:

$link

If it was not you, ignore this letter: nothing has changed.
""",
    ),
    "password_changed": LetterTemplate(
        subject="Your password for $service was changed",
        text="""\
The password of your account at $service was changed, and all other sessions have ended.

If it was not you, ask for a new password at once.
""",
    ),
    "sign_ins_blocked": LetterTemplate(
        subject="Many failed attempts to sign in at $service",
        text="""\
Somebody has tried very often to sign in to your account at $service, with wrong passwords.

You can still sign in with the browsers that you have signed in with before. From others it takes
a new password, which you can ask for on the page for signing in.
""",
    ),
    "second_factor_enabled": LetterTemplate(
        subject="Your account at $service has a second factor now",
        text="""\
From now on, signing in at $service takes a code besides your password.

If it was not you who has set this up, ask for a new password at once.
""",
    ),
    "second_factor_disabled": LetterTemplate(
        subject="Your account at $service has no second factor any more",
        text="""\
From now on, signing in at $service takes your password only.

If it was not you who has changed this, ask for a new password at once.
""",
    ),
    "recovery_code_used": LetterTemplate(
        subject="A recovery code was used at $service",
        text="""\
Somebody has signed in to your account at $service with one of your recovery codes.

If it was not you, ask for a new password at once.
""",
    ),
}
"""The letters of the library."""
