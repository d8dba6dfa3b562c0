"""Passwords at rest: Argon2id (RFC 9106), a few at a time, and never on the event loop."""

import importlib
import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import anyio
import anyio.to_thread

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.users.errors import HashingBusyError

with optional("argon2", "pwdlib", extra="auth"):
    # By name: what pwdlib raises without it does not say what to install.
    importlib.import_module("argon2")
    from pwdlib import PasswordHash
    from pwdlib.exceptions import UnknownHashError
    from pwdlib.hashers import HasherProtocol
    from pwdlib.hashers.argon2 import Argon2Hasher

_T = TypeVar("_T")
_SALT_BYTES = 16
_DIGEST_BYTES = 32
MAX_WAITING = 64
"""How many passwords wait for their turn, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Cost:
    """What one hash costs: memory in KiB, passes over it, and threads."""

    memory: int = 65_536
    passes: int = 3
    threads: int = 1


RECOMMENDED = Argon2Cost()
"""The second recommended option of RFC 9106, section 4 (64 MiB, three passes), in one thread.

Who guesses fills as much memory as often, whatever the number of threads. Four of them answer one
sign-in sooner and many no sooner: they take the cores from each other and from the event loop.
"""


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a password is right, and its new hash if it should be stored anew."""

    is_right: bool
    updated_hash: str | None = None


class PasswordHasher:
    """Hashes passwords in worker threads, so many at a time as memory was set aside for.

    Whoever is cancelled while its password is hashed waits until that is done: the memory is in
    use until then, and others count on the limit.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        max_waiting: int = MAX_WAITING,
        cost: Argon2Cost = RECOMMENDED,
        also: Sequence[HasherProtocol] = (),
    ) -> None:
        """Hash `workers` passwords at a time; verify hashes of `also` too, and replace them."""
        argon2 = Argon2Hasher(
            time_cost=cost.passes,
            memory_cost=cost.memory,
            parallelism=cost.threads,
            hash_len=_DIGEST_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._hashes = PasswordHash((argon2, *also))
        self._limiter = anyio.CapacityLimiter(workers)
        self._max_pending = workers + max_waiting
        self._pending = 0
        self._nobodys = _hash_of_nothing(cost)

    async def hash(self, password: str) -> str:
        """Return the hash to store of a normalised password.

        Raises:
            HashingBusyError: If too many wait.
        """
        return await self._run(lambda: self._hashes.hash(password))

    async def verify(self, password: str, stored: str | None) -> Verification:
        """Return whether a normalised password has this hash.

        Without a hash it does the same work and says no.

        Raises:
            HashingBusyError: If too many wait.
        """
        return await self._run(lambda: self._compare(password, stored))

    def _compare(self, password: str, stored: str | None) -> Verification:
        try:
            is_right, updated = self._hashes.verify_and_update(password, stored or self._nobodys)
        except UnknownHashError:
            self._hashes.verify(password, self._nobodys)
            return Verification(is_right=False)
        return Verification(is_right and stored is not None, updated if is_right else None)

    async def _run(self, work: Callable[[], _T]) -> _T:
        if self._pending >= self._max_pending:
            raise HashingBusyError
        self._pending += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._pending -= 1


def _hash_of_nothing(cost: Argon2Cost) -> str:
    """Return what looks like a hash, and takes as long; no password has it."""
    salt, digest = (
        b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_SALT_BYTES, _DIGEST_BYTES)
    )
    parameters = f"m={cost.memory},t={cost.passes},p={cost.threads}"
    return f"$argon2id$v=19${parameters}${salt}${digest}"
