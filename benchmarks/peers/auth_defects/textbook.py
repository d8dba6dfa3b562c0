"""A service with the parts of FastAPI's tutorial on security, from `OAuth2PasswordBearer` to scopes.

Its chapters "Simple OAuth2 with Password and Bearer", "OAuth2 with Password (and hashing), Bearer
with JWT tokens" and "OAuth2 scopes" lead to one; a dictionary is its database, as there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Security  # noqa: TID251 - as there
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm, SecurityScopes
from pwdlib import PasswordHash

from benchmarks.peers.defects.probe import client

PEER, ENVIRONMENT = "FastAPI's tutorial", "auth"
SECRET = "a secret that stands in the source of the service, as there"  # noqa: S105 - that is the point
PASSWORD = "correct horse battery staple"  # noqa: S105 - of a user who does not exist
_HASHES = PasswordHash.recommended()
_SCHEME = OAuth2PasswordBearer(tokenUrl="token", scopes={"me": "Read.", "items": "Read items."})
_USERS: Mapping[str, Mapping[str, Any]] = {
    "johndoe": {"disabled": False, "hashed_password": _HASHES.hash(PASSWORD)},
    "alice": {"disabled": True, "hashed_password": _HASHES.hash(PASSWORD)},
}
_NOBODY: Mapping[str, Any] = {"hashed_password": _HASHES.hash("of nobody")}


@dataclass(slots=True)
class Hashes:
    """Verifies passwords, and counts how often."""

    verified: int = 0
    lengths: list[int] = field(default_factory=list)

    def verify(self, password: str, hashed: str) -> bool:
        """Return whether a password is the one that was hashed."""
        self.verified += 1
        self.lengths.append(len(password))
        return _HASHES.verify(password, hashed)


def token_of(name: str, *, scopes: str = "me", **claims: object) -> str:
    """Return what the service gives to a user who has signed in."""
    expires = datetime.now(UTC) + timedelta(minutes=30)  # noqa: TID251 - as there
    return jwt.encode({"sub": name, "scope": scopes, "exp": expires, **claims}, SECRET, "HS256")


async def get_current_user(
    wanted: SecurityScopes, token: Annotated[str, Depends(_SCHEME)]
) -> dict[str, Any]:
    """Return who a token is of, if it has the scopes."""
    challenge = f'Bearer scope="{wanted.scope_str}"' if wanted.scopes else "Bearer"
    refused = HTTPException(401, "Could not validate credentials", {"WWW-Authenticate": challenge})
    try:
        payload = jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise refused from None
    user = _USERS.get(payload.get("sub"))
    if user is None:
        raise refused
    given = payload.get("scope", "").split(" ")
    for scope in wanted.scopes:
        if scope not in given:
            raise HTTPException(401, "Not enough permissions", {"WWW-Authenticate": challenge})
    return {"username": payload["sub"], **user}


async def get_active_user(
    user: Annotated[dict[str, Any], Security(get_current_user, scopes=["me"])],
) -> dict[str, Any]:
    """Return who is asking, unless they are disabled."""
    if user["disabled"]:
        raise HTTPException(400, "Inactive user")
    return user


def application(hashes: Hashes | None = None) -> FastAPI:
    """Return the service."""
    verifying = hashes or Hashes()
    app = FastAPI()

    @app.post("/token")
    async def sign_in(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> dict[str, str]:
        user = _USERS.get(form.username, _NOBODY)
        is_right = verifying.verify(form.password, user["hashed_password"])
        if user is _NOBODY or not is_right:
            raise HTTPException(400, "Incorrect username or password")
        return {
            "access_token": token_of(form.username, scopes=" ".join(form.scopes)),
            "token_type": "bearer",
        }

    @app.get("/users/me")
    async def read_me(user: Annotated[dict[str, Any], Depends(get_active_user)]) -> str:
        return user["username"]

    @app.get("/users/me/items")
    async def read_items(
        user: Annotated[dict[str, Any], Security(get_active_user, scopes=["items"])],
    ) -> list[str]:
        return [user["username"]]

    return app


async def statuses(app: FastAPI, *tokens: str | bytes, path: str = "/users/me") -> list[int]:
    """Return how a request with each token is answered."""
    values = [b"Bearer " + (t if isinstance(t, bytes) else t.encode()) for t in tokens]
    async with client(app) as asking:
        return [
            (await asking.get(path, headers=[(b"authorization", value)])).status_code
            for value in values
        ]
