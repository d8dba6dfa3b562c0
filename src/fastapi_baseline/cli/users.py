"""`baseline auth user`: the first user, who can invite the others; and users who must go."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from fastapi_baseline.auth.users.application import open_users
from fastapi_baseline.auth.users.letters import LetterKind
from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.auth.users.models import subject_of
from fastapi_baseline.auth.users.self_service import SelfService
from fastapi_baseline.cli.console import print_done, print_lines, without_log
from fastapi_baseline.cli.run import Target, get_settings, import_application
from fastapi_baseline.errors import NotFoundError

T = TypeVar("T")


class KeptLetters:
    """A `MailSender` for a machine that sends none: its user reads them on the spot."""

    def __init__(self) -> None:
        """Begin with none."""
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> None:
        """Keep a letter."""
        self.letters.append(letter)


def invite_user(target: Target, email: str, *, roles: Sequence[str]) -> None:
    """Add a user, who is sent a link to choose a password; without a mail server, it is printed.

    Raises:
        ConfigurationError: If the service has no users of its own.
        EmailTakenError: If somebody has the address.
        InvalidEmailError: If it is none.
    """
    kept = KeptLetters()
    with without_log():
        settings = get_settings(target)
    is_sent = settings.mail.smtp_url is not None or settings.is_deployed
    parts = {} if is_sent else {"mail": kept}
    _with_users(target, lambda service: service.users.invite(email, roles=roles), **parts)
    print_done(f"Invited: {email}")
    for letter in kept.letters:
        print_lines([line for line in letter.text.splitlines() if line.strip()])


class KeptLinks:
    """A `LetterWriter` for a link that nobody is sent."""

    def __init__(self) -> None:
        """Begin with none."""
        self.links: list[str] = []

    def write(
        self,
        kind: LetterKind,
        *,
        to: str,
        link: str | None = None,
        lifetime: timedelta | None = None,
    ) -> Letter:
        """Keep a link, and return a letter that says nothing."""
        del lifetime
        if link is not None:
            self.links.append(link)
        return Letter(to=to, subject=kind, text="")


def add_user(target: Target, email: str, *, roles: Sequence[str], is_json: bool) -> None:
    """Add a user, and show the link with which a password is chosen.

    Raises:
        ConfigurationError: If the service has no users of its own.
        EmailTakenError: If somebody has the address.
        InvalidEmailError: If it is none.
    """
    kept = KeptLinks()

    async def add(service: SelfService[Any]) -> str:
        return subject_of(await service.users.invite(email, roles=roles))

    subject = _with_users(target, add, mail=KeptLetters(), letters=kept)
    if is_json:
        print_lines([json.dumps({"id": subject, "email": email, "link": kept.links[-1]})])
        return
    print_done(f"Added: {email}, with the id {subject}. A password is chosen here:")
    print_lines(kept.links)


def disable_user(target: Target, who: str, *, is_json: bool) -> None:
    """Let a user not sign in any more, by address or id, and end what lets them in.

    Raises:
        ConfigurationError: If the service has no users of its own.
        NotFoundError: If there is no such user.
    """

    async def disable(service: SelfService[Any]) -> str:
        found = await service.users.find_by_email(who) if "@" in who else None
        if found is None and "@" in who:
            raise NotFoundError("There is no such user.")
        subject = who if found is None else subject_of(found)
        await service.users.disable(subject)
        return subject

    subject = _with_users(target, disable, mail=KeptLetters())
    if is_json:
        print_lines([json.dumps({"id": subject, "is_disabled": True})])
        return
    print_done(f"Disabled: {who}. Access tokens last until they expire, some minutes.")


def _with_users(
    target: Target, use: Callable[[SelfService[Any]], Coroutine[Any, Any, T]], **parts: Any
) -> T:
    with without_log():
        get_settings(target)
        return asyncio.run(_run(import_application(target), use, parts))


async def _run(
    app: Any, use: Callable[[SelfService[Any]], Coroutine[Any, Any, T]], parts: dict[str, Any]
) -> T:
    try:
        return await use(open_users(app, **parts))
    finally:
        redis = getattr(app.state, "redis", None)
        if redis is not None:
            await redis.aclose()
        database = getattr(app.state, "database", None)
        if database is not None:
            await database.dispose()
