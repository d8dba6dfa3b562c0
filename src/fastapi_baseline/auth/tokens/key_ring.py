"""Where the keys of an issuer come from, and how they are found.

Nothing here makes a key: what does so is loaded when there is one to make.
"""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Protocol  # noqa: TID251 -- for what is loaded with the first key

if TYPE_CHECKING:
    from joserfc.jwk import Key


class KeySource(Protocol):
    """Where the keys of one issuer come from."""

    async def find_key(self, kid: str | None, algorithm: str) -> "Key | None":
        """Return the key that a token with this header is signed with, or `None`.

        Raises:
            IssuerUnavailableError: If nobody can tell at the moment.
        """
        ...


class KeyRing:
    """The usable keys of one issuer, at one time."""

    def __init__(self, keys: Iterable[tuple[str | None, Collection[str], "Key"]]) -> None:
        """Hold keys, each with its identifier and the algorithms that it is for."""
        self._keys: dict[tuple[str | None, str], Key | None] = {}
        self.size = 0
        for kid, algorithms, key in keys:
            self.size += 1
            for algorithm in algorithms:
                if kid is not None:
                    self._add((kid, algorithm), key)
                # For a token without an identifier: it must not be a guess.
                self._add((None, algorithm), key)

    def _add(self, name: tuple[str | None, str], key: "Key") -> None:
        self._keys[name] = None if name in self._keys else key

    def find(self, kid: str | None, algorithm: str) -> "Key | None":
        """Return the one key that is meant; `None` if there is none, or more than one."""
        return self._keys.get((kid, algorithm))
