"""`baseline auth user`: the first user, who can invite the others."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi_baseline.auth.users.application import open_users
from fastapi_baseline.auth.users.mail import Letter
from fastapi_baseline.cli.console import print_done, print_lines, without_log
from fastapi_baseline.cli.run import Target, get_settings, import_application


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
        asyncio.run(_invite(import_application(target), email, roles=roles, parts=parts))
    print_done(f"Invited: {email}")
    for letter in kept.letters:
        print_lines([line for line in letter.text.splitlines() if line.strip()])


async def _invite(app: Any, email: str, *, roles: Sequence[str], parts: dict[str, Any]) -> None:
    try:
        await open_users(app, **parts).users.invite(email, roles=roles)
    finally:
        redis = getattr(app.state, "redis", None)
        if redis is not None:
            await redis.aclose()
        database = getattr(app.state, "database", None)
        if database is not None:
            await database.dispose()
