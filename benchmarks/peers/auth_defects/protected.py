"""A resource server as Authlib's documentation sets it up."""

from typing import Any

from authlib.oauth2 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from joserfc.jwk import KeySet

from benchmarks.peers.auth_defects.minting import AUDIENCE, ISSUER
from benchmarks.peers.defects.probe import client

PEER, ENVIRONMENT = "authlib", "auth"
_BAD = 400


class Validator(JWTBearerTokenValidator):
    """Knows the keys of the issuer; what a service adds to it is how they are fetched."""

    def __init__(self, keys: Any) -> None:
        """Take the keys as the issuer publishes them."""
        super().__init__(ISSUER, AUDIENCE)
        self.keys, self.fetches = keys, 0

    def get_jwks(self) -> Any:
        """Return them, and count that they were asked for."""
        self.fetches += 1
        return KeySet.import_key_set(self.keys)


class CachingValidator(Validator):
    """Keeps the keys once it has them, as the documentation of `get_jwks` does."""

    def __init__(self, keys: Any) -> None:
        """Take the keys as the issuer publishes them."""
        super().__init__(keys)
        self._cache: dict[str, Any] = {}

    def get_jwks(self) -> Any:
        """Return those that it has, or fetch them."""
        if "jwks" not in self._cache:
            self._cache["jwks"] = super().get_jwks()
        return self._cache["jwks"]


class Introspector(IntrospectTokenValidator):
    """Is told one thing of every token, as if an issuer had said it."""

    def __init__(self, answer: Any) -> None:
        """Take what is told."""
        super().__init__()
        self.answer, self.asked = answer, 0

    def introspect_token(self, token_string: str) -> Any:
        """Return it, and count that it was asked for."""
        del token_string
        self.asked += 1
        return self.answer


def application(validator: Any, *, scope: str = "read") -> FastAPI:
    """Return an application with one route, which needs a scope."""
    protector = ResourceProtector()
    protector.register_token_validator(validator)
    app = FastAPI()

    @app.exception_handler(OAuth2Error)
    async def refuse(_request: Request, error: OAuth2Error) -> Response:
        headers = dict(error.get_headers())
        return JSONResponse(dict(error.get_body()), error.status_code or _BAD, headers)

    @app.get("/")
    async def read(request: Request) -> str:
        protector.validate_request([scope], request)
        return "read"

    return app


async def statuses(app: FastAPI, *tokens: str | bytes) -> list[int]:
    """Return how a request with each token is answered."""
    values = [b"Bearer " + (t if isinstance(t, bytes) else t.encode()) for t in tokens]
    async with client(app) as asking:
        return [
            (await asking.get("/", headers=[(b"authorization", value)])).status_code
            for value in values
        ]
