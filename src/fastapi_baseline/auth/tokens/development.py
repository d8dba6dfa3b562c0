"""An issuer for one machine and for development: whoever may read its secret may be anybody.

The processes of a service make a secret when the first of them starts, and keep it in a file that
only their user can read, for as long as one of them runs. The key is derived from it once there is a
token to make or to verify: `baseline auth token` signs with it. Nothing is served: no other machine,
and no page of a browser, can ask for a token.
"""

import fcntl
import hashlib
import os
import secrets
import stat
import tempfile
from collections.abc import AsyncGenerator, Collection, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any  # noqa: TID251 -- for what is loaded with the first key

from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings import AuthSettings, Environment

if TYPE_CHECKING:
    from joserfc.jwk import Key

DEVELOPMENT = "development"
"""What `AUTH__ISSUER` is set to for this issuer; what its tokens say in `iss` is a URL."""
ISSUER = "http://127.0.0.1/development"
"""What its tokens say. Nothing answers there."""
LIFETIME = timedelta(hours=1)
"""How long a token lasts, unless it is asked for another one."""

_ALGORITHM = "ES256"
# 128 bits more than the key has: twice what makes all keys as likely (FIPS 186-5, A.2.1).
_SECRET_BYTES = 48
_OWN = 0o600
_OWN_FOLDER = 0o700
_FOREIGN = 0o077
# A service that starts again because its code has changed takes the tokens that it took before.
_RESTART = timedelta(seconds=10)
_ATTEMPTS = 10


def resolve_development_issuer(settings: AuthSettings, *, environment: Environment) -> AuthSettings:
    """Return settings that name this issuer by what its tokens say, if they name it at all.

    Raises:
        ConfigurationError: If they name it where people depend on the service.
    """
    if settings.issuer != DEVELOPMENT:
        return settings
    if environment not in {"development", "test"}:
        raise ConfigurationError(
            "AUTH__ISSUER is 'development', which is for development only: set it to the URL of the "
            "identity provider, and AUTH__AUDIENCE to what its tokens for this service have in aud."
        )
    changes = {
        "issuer": ISSUER,
        "preset": "standard",
        "algorithms": (_ALGORITHM,),
        # Its keys are not fetched; that it says where they are keeps everybody from looking.
        "jwks_url": f"{ISSUER}/jwks",
    }
    return settings.model_copy(update=changes)


def folder_of_user() -> Path:
    """Return the folder in which the keys of this user are."""
    return Path(tempfile.gettempdir()) / f"fastapi-baseline-{os.getuid()}"


class DevelopmentIssuer:
    """The keys of one service, as long as it runs; a `KeySource`."""

    def __init__(
        self, service_name: str, *, clock: Clock | None = None, folder: Path | None = None
    ) -> None:
        """Keep the key in `folder`, by default that of the user."""
        name = hashlib.sha256(service_name.encode()).hexdigest()[:16]
        self._clock = clock or SystemClock()
        self._folder = folder or folder_of_user()
        self._path = self._folder / f"{name}.secret"
        self._file: int | None = None
        self._key: Key | None = None

    async def find_key(self, kid: str | None, algorithm: str) -> "Key | None":
        """Return the key that tokens are signed with, if it is the one that is meant."""
        if self._key is None and self._file is not None:
            # Only this half stays: the process checks, and signs nothing.
            self._key = _read_public_key(self._file)
        key = self._key
        if key is None or algorithm != _ALGORITHM or kid != key.kid:
            return None
        return key

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncGenerator[None]:
        """Accept tokens: by the secret of the processes that run already, or else by a new one.

        Raises:
            ConfigurationError: If the file is not this user's alone.
        """
        del app
        with self._opened() as file:
            self._join(file)
            self._file = file
            try:
                yield
            finally:
                self._file = self._key = None
                now = self._clock.now().timestamp()
                os.utime(file, (now, now))

    def sign(
        self,
        *,
        subject: str,
        audience: Collection[str],
        scopes: Collection[str] = (),
        roles: Collection[str] = (),
        lifetime: timedelta = LIFETIME,
    ) -> str:
        """Return a token that the running processes accept (RFC 9068).

        Raises:
            ConfigurationError: If none of them runs.
        """
        secret = self._get_running_secret()
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": subject,
            "aud": list(audience),
            "client_id": "baseline",
            "iat": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": secrets.token_hex(16),
        }
        if scopes:
            claims["scope"] = " ".join(scopes)
        if roles:
            claims["roles"] = list(roles)
        return _sign(claims, secret)

    def _get_running_secret(self) -> bytes:
        if self._path.exists():
            with self._opened() as file:
                if _lock(file, fcntl.LOCK_EX):
                    # Nobody uses what is left in it, and whoever starts at this moment must not.
                    os.ftruncate(file, 0)
                secret = _read(file)
            if secret is not None:
                return secret
        raise ConfigurationError(
            "The service does not run, or does not trust the issuer for development: start it with "
            "`baseline run`, in development, with AUTH__ISSUER=development."
        )

    def _join(self, file: int) -> None:
        """Share the secret of the processes that run; the lock on its file says that there are some."""
        for _ in range(_ATTEMPTS):
            if _lock(file, fcntl.LOCK_EX) and not self._is_restart(file):
                _write(file, secrets.token_bytes(_SECRET_BYTES))
            # One lock is given up before the other is taken, and a third process may have come
            # between: what the file says from now on stays, since nobody else is alone any more.
            fcntl.flock(file, fcntl.LOCK_SH)
            if _read(file) is not None:
                return
        raise ConfigurationError(f"The key for development cannot be read; remove {self._path}.")

    def _is_restart(self, file: int) -> bool:
        age = self._clock.now().timestamp() - os.fstat(file).st_mtime
        return 0 <= age < _RESTART.total_seconds() and _read(file) is not None

    @contextmanager
    def _opened(self) -> Generator[int]:
        self._folder.mkdir(mode=_OWN_FOLDER, exist_ok=True)
        folder = self._folder.lstat()
        if not stat.S_ISDIR(folder.st_mode) or not _is_own(folder):
            raise ConfigurationError(
                f"{self._folder} is not a folder of this user alone, so no key is kept in it: "
                "remove it, or set TMPDIR to another folder."
            )
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(self._path, flags, _OWN)
        try:
            if not _is_own(os.fstat(file)):
                raise ConfigurationError(f"Others may read {self._path}: remove it.")
            yield file
        finally:
            os.close(file)


def _is_own(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & _FOREIGN


def _lock(file: int, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: int, secret: bytes) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, secret, 0)
    # As if long ago: a service that was killed has not said that it starts again.
    os.utime(file, (0, 0))


def _read(file: int) -> bytes | None:
    content = os.pread(file, _SECRET_BYTES + 1, 0)
    return content if len(content) == _SECRET_BYTES else None


def _read_public_key(file: int) -> "Key | None":
    secret = _read(file)
    if secret is None:
        return None
    # What makes keys is loaded with the first token: a service that starts has no need of it.
    from fastapi_baseline.auth.tokens.development_keys import (  # noqa: PLC0415 -- as said
        derive_key,
        public_half,
    )

    return public_half(derive_key(secret))


def _sign(claims: Mapping[str, Any], secret: bytes) -> str:
    from fastapi_baseline.auth.tokens.development_keys import (  # noqa: PLC0415 -- likewise
        derive_key,
        sign_access_token,
    )

    return sign_access_token(claims, derive_key(secret), algorithm=_ALGORITHM)
