"""Letters, and what sends them."""

import logging
from dataclasses import dataclass
from typing import Protocol

logger = logging.getLogger("fastapi_baseline.auth.mail")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One e-mail. Its text may contain a link that only its reader may see."""

    to: str
    subject: str
    text: str
    html: str | None = None

    def __repr__(self) -> str:
        # It goes to logs with errors, and neither the link nor the address may.
        return f"Letter(subject={self.subject!r})"


class MailSender(Protocol):
    """What sends letters."""

    async def send(self, letter: Letter) -> None:
        """Hand a letter to whoever delivers it.

        Raises:
            MailNotSentError: If that fails now; the same may succeed later.
        """
        ...


class ConsoleMailSender:
    """Writes letters to the log, line by line, with their links: for development and tests only."""

    async def send(self, letter: Letter) -> None:
        """Log a letter."""
        logger.info("A letter to %s: %s", letter.to, letter.subject)
        for line in letter.text.splitlines():
            if line.strip():
                logger.info("    %s", line)
