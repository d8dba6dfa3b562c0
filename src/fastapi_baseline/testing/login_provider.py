"""An OpenID provider for tests of signing in: it answers rightly, or as wrongly as it is told."""

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from fastapi_baseline._extras import optional
from fastapi_baseline.clock import Clock
from fastapi_baseline.testing.issuer import OMIT, TokenIssuer
from fastapi_baseline.testing.issuer_endpoints import Answer, make_server, read_form
from fastapi_baseline.testing.signing_keys import SigningKey, encode_base64url, sign_token

with optional("httpx2", extra="testing"):
    import httpx2

TOKEN_PATH = "/token"  # noqa: S105 -- a path
USERINFO_PATH = "/userinfo"
END_SESSION_PATH = "/end-session"

_LIFETIME = timedelta(minutes=5)
_BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class LoginProvider(TokenIssuer):
    """A provider that lives in the test, and signs in whoever the test says.

    `sign_in` is what a browser would do there. The service asks it over a socket, with `serving()`,
    or without a network, if `make_login` is given `make_transport`. What it says can be changed, and with `OMIT` left out:
    `metadata_changes`, `id_token_claims`, `id_token_header`, `token_changes`, `userinfo`; and
    `id_token_key` signs ID tokens instead of the key that is published.
    """

    def __init__(
        self,
        url: str = "https://login.test",
        *,
        client_id: str = "shop",
        client_secret: str = "secret of the shop",  # noqa: S107 -- of a test
        algorithm: str = "ES256",
        clock: Clock | None = None,
        key: SigningKey | None = None,
    ) -> None:
        """Know one client."""
        super().__init__(url, audience=client_id, algorithm=algorithm, clock=clock, key=key)
        self.client_id = client_id
        self.client_secret = client_secret
        self.metadata_changes: dict[str, Any] = {}
        self.id_token_claims: dict[str, Any] = {}
        self.id_token_header: dict[str, Any] = {}
        self.id_token_key: SigningKey | None = None
        self.token_changes: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {"email": "ann@example.com"}
        self.access_token_lifetime = _LIFETIME
        self.forms: list[dict[str, str]] = []
        """What the token endpoint was sent, in order."""
        self.refresh_tokens: dict[str, dict[str, Any]] = {}
        """The refresh tokens that are good, and what they stand for."""
        self.access_tokens: dict[str, dict[str, Any]] = {}
        self._tokens = _Endpoints(self)
        answers: dict[str, Answer] = {
            TOKEN_PATH: self._tokens.give_tokens,
            USERINFO_PATH: self._tokens.give_userinfo,
        }
        self.endpoints.answers.update(answers)

    def metadata(self) -> dict[str, Any]:
        """Return what it says of itself, with the changes."""
        right = {**super().metadata(), **_describe(self.url)}
        return _merged(right, self.metadata_changes)

    def make_transport(self) -> httpx2.AsyncBaseTransport:
        """Return a transport whose every request this provider answers, without a network."""
        return make_transport(self)

    @classmethod
    @contextmanager
    def serving(
        cls,
        *,
        audience: str = "shop",
        algorithm: str = "ES256",
        clock: Clock | None = None,
    ) -> Generator["LoginProvider"]:
        """Give a provider at a URL of loopback, which knows `audience` as its client."""
        server = make_server(lambda: provider.endpoints)
        url = f"http://127.0.0.1:{server.server_address[1]}"
        provider = cls(url, client_id=audience, algorithm=algorithm, clock=clock)
        with provider.endpoints.listening(server):
            yield provider

    def sign_in(
        self, url: str, *, subject: str = "ann", sid: str | None = None, **claims: Any
    ) -> str:
        """Return where a browser is sent back to that came to `url`, and signed in as `subject`.

        `claims` are in its ID token: `auth_time=...`.
        """
        asked = _read_query(url)
        code = secrets.token_urlsafe(32)
        named = claims if sid is None else {**claims, "sid": sid}
        self._tokens.codes[code] = {"asked": asked, "subject": subject, "claims": named}
        answer = {"code": code, "state": asked.get("state", ""), "iss": self.url}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def refuse(self, url: str, error: str = "access_denied", **more: str) -> str:
        """Return where a browser is sent back to that came to `url`, and did not sign in."""
        asked = _read_query(url)
        answer = {"error": error, "state": asked.get("state", ""), "iss": self.url, **more}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def mint_id_token(
        self, subject: str, *, nonce: str | None = None, access_token: str = "", **claims: Any
    ) -> str:
        """Return an ID token for the client, changed as `id_token_claims` and the others say."""
        now = int(self.clock.now().timestamp())
        right = {
            "iss": self.url,
            "sub": subject,
            "aud": self.client_id,
            "iat": now,
            "exp": now + int(_LIFETIME.total_seconds()),
            "nonce": OMIT if nonce is None else nonce,
            "at_hash": half_hash(access_token) if access_token else OMIT,
            **claims,
        }
        signer = self.id_token_key or self.signing_key
        header = {"alg": signer.algorithm, "typ": "JWT", "kid": signer.kid or OMIT}
        named = _merged(header, self.id_token_header)
        return sign_token(
            named,
            _merged(right, self.id_token_claims),
            None if named.get("alg") == "none" else signer,
        )

    def mint_logout_token(
        self,
        *,
        subject: str | None = None,
        sid: str | None = None,
        claims: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """Return a logout token (OpenID Connect Back-Channel Logout, section 2.4), changed as told."""
        right = _claim_logout(self, subject=subject, sid=sid)
        signer = key or self.signing_key
        names = {"alg": signer.algorithm, "typ": "logout+jwt", "kid": signer.kid or OMIT}
        return sign_token(_merged(names, header or {}), _merged(right, claims or {}), signer)


class _Endpoints:
    """The endpoints of a provider that are asked for tokens, and by tokens."""

    def __init__(self, provider: LoginProvider) -> None:
        self._provider = provider
        self.codes: dict[str, dict[str, Any]] = {}

    def give_tokens(self, request: httpx2.Request) -> httpx2.Response:
        provider, form = self._provider, read_form(request)
        provider.forms.append(form)
        if not self._is_client(request, form):
            return _refuse("invalid_client", status=401)
        if form.get("grant_type") == "refresh_token":
            granted = provider.refresh_tokens.pop(form.get("refresh_token", ""), None)
            nonce = None
        else:
            granted = self.codes.pop(form.get("code", ""), None)
            if granted is not None and not _fits(form, granted["asked"]):
                granted = None
            nonce = None if granted is None else granted["asked"].get("nonce")
        return _refuse("invalid_grant") if granted is None else self._answer(granted, nonce)

    def _answer(self, granted: dict[str, Any], nonce: str | None) -> httpx2.Response:
        provider = self._provider
        access_token, refresh_token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        provider.access_tokens[access_token] = provider.refresh_tokens[refresh_token] = granted
        right = {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": int(provider.access_token_lifetime.total_seconds()),
            "refresh_token": refresh_token,
            "scope": granted["asked"].get("scope", ""),
            "id_token": provider.mint_id_token(
                granted["subject"], nonce=nonce, access_token=access_token, **granted["claims"]
            ),
        }
        return httpx2.Response(
            200, json=_merged(right, provider.token_changes), headers={"Cache-Control": "no-store"}
        )

    def give_userinfo(self, request: httpx2.Request) -> httpx2.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        granted = self._provider.access_tokens.get(token)
        if granted is None or scheme != "Bearer":
            return httpx2.Response(
                401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
            )
        right = {"sub": granted["subject"]}
        return httpx2.Response(200, json=_merged(right, self._provider.userinfo))

    def _is_client(self, request: httpx2.Request, form: Mapping[str, str]) -> bool:
        provider = self._provider
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            client_id, _, secret = base64.b64decode(pair).decode("ascii").partition(":")
            given = (unquote_plus(client_id), unquote_plus(secret))
        elif "client_assertion" in form:
            # Its signature is for whoever has the key to look at: `forms`.
            part = form["client_assertion"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
            return claims["iss"] == claims["sub"] == provider.client_id
        else:
            given = (form.get("client_id", ""), form.get("client_secret", ""))
        return given == (provider.client_id, provider.client_secret)


def make_transport(*providers: LoginProvider) -> httpx2.AsyncBaseTransport:
    """Return a transport whose requests these providers answer, each those to its host."""
    by_host: dict[str, Callable[[httpx2.Request], httpx2.Response]] = {
        urlsplit(one.url).netloc: one.endpoints.handle for one in providers
    }

    def handle(request: httpx2.Request) -> httpx2.Response:
        host = request.url.netloc.decode("ascii")
        answer = by_host.get(host)
        return httpx2.Response(404) if answer is None else answer(request)

    return httpx2.MockTransport(handle)


def half_hash(text: str, *, algorithm: str = "sha256") -> str:
    """Return what `at_hash` is for an access token (OpenID Connect Core, section 3.1.3.6)."""
    digest = hashlib.new(algorithm, text.encode()).digest()
    return encode_base64url(digest[: len(digest) // 2])


def _describe(url: str) -> dict[str, Any]:
    return {
        "userinfo_endpoint": url + USERINFO_PATH,
        "end_session_endpoint": url + END_SESSION_PATH,
        "authorization_response_iss_parameter_supported": True,
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
        ],
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
    }


def _claim_logout(
    provider: LoginProvider, *, subject: str | None, sid: str | None
) -> dict[str, Any]:
    now = int(provider.clock.now().timestamp())
    return {
        "iss": provider.url,
        "aud": provider.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_hex(16),
        "events": {_BACKCHANNEL_EVENT: {}},
        "sub": OMIT if subject is None else subject,
        "sid": OMIT if sid is None else sid,
    }


def _read_query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def _fits(form: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    challenge = encode_base64url(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
    return (
        form.get("redirect_uri") == asked["redirect_uri"]
        and asked.get("code_challenge_method") == "S256"
        and asked.get("code_challenge") == challenge
    )


def _refuse(error: str, *, status: int = 400) -> httpx2.Response:
    return httpx2.Response(status, json={"error": error, "error_description": "<b>no</b>"})


def _merged(right: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**right, **changes}.items() if value is not OMIT}
