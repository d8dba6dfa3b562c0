"""Where it is kept what signing in with a provider needs to remember: tokens, and what was used up."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol

MAX_KEY_LENGTH = 200
"""How long a key, or the name of a group, may be; both are ASCII."""


class Stored(NamedTuple):
    """A value, and how often it was replaced: what `replace_if` compares."""

    value: str
    version: int


class LoginStore(Protocol):
    """What keeps values for a while. Implement it to add a backend.

    A key is a kind, a colon, and what tells it apart from others of its kind. Each method is atomic
    for everybody who shares the store, and what was removed never comes back, whatever happens at
    the same time. What is over counts as not there. Values are for nobody to read but the service,
    so they are encrypted before they come here. Methods raise `SessionsUnavailableError` if the
    store does not answer.
    """

    async def add_if_absent(
        self, key: str, value: str, *, lifetime: timedelta, groups: Sequence[str] = ()
    ) -> bool:
        """Keep a value for `lifetime`, and return whether there was none; else nothing changes.

        `groups` are what it is found by besides, for as long as it is there.
        """
        ...

    async def get(self, key: str) -> Stored | None:
        """Return a value; `None` if there is none."""
        ...

    async def take(self, key: str) -> str | None:
        """Remove a value, and return it to one caller only; `None` if there is none."""
        ...

    async def replace_if(self, key: str, value: str, *, version: int, lifetime: timedelta) -> bool:
        """Keep another value if nobody else has replaced it; return whether that is so.

        `version` is the one that was read; the next one is greater by one. Its groups stay.
        """
        ...

    async def remove(self, key: str, *, version: int | None = None) -> bool:
        """Remove a value, if it has still that version; return whether it was there and had."""
        ...

    async def list_group(self, group: str) -> Sequence[str]:
        """Return the keys of a group, in no order."""
        ...
