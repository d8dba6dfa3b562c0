"""What a client asks for at the authorization endpoint, checked before anybody is asked anything.

What is wrong with who asks, or with where the answer would go, is told to the user only: a redirect
would carry it to whoever made the request (RFC 6749, section 4.1.2.1). All else is told to the
client. No message repeats what was sent.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from fastapi_baseline.auth.challenges import is_scope
from fastapi_baseline.auth.server.models import OAuthClient
from fastapi_baseline.errors import InvalidRequestError

PROMPTS = ("consent", "login", "none", "select_account")
"""What a client may say of what its user is to be asked (OpenID Connect Core, section 3.1.2.1)."""

CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""What SHA-256 makes of a verifier (RFC 7636, section 4.2); there is no other method."""

_KNOWN = frozenset(
    {
        "acr_values",
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "id_token_hint",
        "login_hint",
        "max_age",
        "nonce",
        "prompt",
        "redirect_uri",
        "registration",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)
_VISIBLE = re.compile(r"[\x20-\x7E]+")
_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)
_MAX_LENGTH = 255
_MAX_LENGTHS = {
    "id_token_hint": 8192,
    "nonce": 512,
    "redirect_uri": 2048,
    "scope": 1000,
    "state": 2048,
}
# Not read at all, so it does not matter how long they are.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "request_uri": "request_uri_not_supported",
    "registration": "registration_not_supported",
}


class UnusableRequestError(InvalidRequestError):
    """It is not known who asks, or where the answer would go; only the user is told."""

    code = "unusable_authorization_request"
    default_message = "The application that sent you here did so with a request that is not valid."


class AuthorizationError(Exception):
    """What a client is told instead of a code; `error` is one of the protocol's own."""

    def __init__(self, error: str, description: str | None = None) -> None:
        """Say what is wrong, in printable ASCII, and nothing of the input."""
        super().__init__(error)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnAddress:
    """Where the answer to a client goes, and the `state` that it gets back as it was."""

    redirect_uri: str
    state: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that is good: somebody may be asked whether the client gets what it asks for."""

    client_id: str
    redirect_uri: str
    state: str | None = None
    scopes: tuple[str, ...]
    code_challenge: str
    nonce: str | None = None
    prompts: frozenset[str] = frozenset()
    max_age: timedelta | None = None
    acr_values: tuple[str, ...] = ()
    login_hint: str | None = None
    expected_subject: str | None = None
    """Who the client believes to be there; nobody else will do."""

    @property
    def return_address(self) -> ReturnAddress:
        """Return where the answer goes."""
        return ReturnAddress(redirect_uri=self.redirect_uri, state=self.state)

    def to_json(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": self.state,
            "scopes": list(self.scopes),
            "nonce": self.nonce,
            "code_challenge": self.code_challenge,
            "prompts": sorted(self.prompts),
            "max_age": None if self.max_age is None else int(self.max_age.total_seconds()),
            "acr_values": list(self.acr_values),
            "login_hint": self.login_hint,
            "expected_subject": self.expected_subject,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return what `to_json` made something of."""
        max_age = values["max_age"]
        read: dict[str, Any] = {
            **values,
            "scopes": tuple(values["scopes"]),
            "prompts": frozenset(values["prompts"]),
            "acr_values": tuple(values["acr_values"]),
            "max_age": None if max_age is None else timedelta(seconds=max_age),
        }
        return cls(**read)


class Parameters:
    """What was sent: each parameter that is understood, once; others are passed over."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Read names and values; one without a value was not sent (RFC 6749, section 3.1)."""
        self._values: dict[str, str] = {}
        self._repeated: set[str] = set()
        for name, value in pairs:
            if name not in _KNOWN or not value:
                continue
            if name in self._values:
                self._repeated.add(name)
            self._values[name] = value

    def find(self, name: str) -> str | None:
        """Return a parameter, or `None` if it was not sent.

        Raises:
            AuthorizationError: If it was sent twice, or is longer than any could be.
        """
        value = self._values.get(name)
        if name in self._repeated:
            raise AuthorizationError("invalid_request", f"{name} is there more than once")
        if value is not None and len(value) > _MAX_LENGTHS.get(name, _MAX_LENGTH):
            raise AuthorizationError("invalid_request", f"{name} is too long")
        return value

    def find_text(self, name: str) -> str | None:
        """Return a parameter that is printable ASCII, or `None` if it was not sent.

        Raises:
            AuthorizationError: If it was sent twice, or is none.
        """
        value = self.find(name)
        if value is not None and not _VISIBLE.fullmatch(value):
            raise AuthorizationError(
                "invalid_request", f"{name} has characters that it may not have"
            )
        return value

    def find_list(self, name: str) -> tuple[str, ...]:
        """Return the words of a parameter, each once, in their order.

        Raises:
            AuthorizationError: If it was sent twice, or is no text.
        """
        return tuple(dict.fromkeys((self.find_text(name) or "").split()))

    def is_sent(self, name: str) -> bool:
        """Return whether a parameter was sent, however often."""
        return name in self._values


def find_client_id(parameters: Parameters) -> str:
    """Return who asks.

    Raises:
        UnusableRequestError: If that is not said once, or cannot be.
    """
    try:
        client_id = parameters.find_text("client_id")
    except AuthorizationError as error:
        raise UnusableRequestError from error
    if client_id is None:
        raise UnusableRequestError
    return client_id


def find_return_address(parameters: Parameters, *, accepts: Callable[[str], bool]) -> ReturnAddress:
    """Return where the answer goes, if the client has registered it: that is what `accepts` says.

    Raises:
        UnusableRequestError: If it has not.
    """
    try:
        redirect_uri = parameters.find_text("redirect_uri")
    except AuthorizationError as error:
        raise UnusableRequestError from error
    if redirect_uri is None or not accepts(redirect_uri):
        raise UnusableRequestError(
            "The application that sent you here asked to be answered where it is not registered."
        )
    try:
        state = parameters.find("state")
    except AuthorizationError:
        # Which of two would be the right one? Without one, no client goes on.
        state = None
    return ReturnAddress(redirect_uri=redirect_uri, state=state)


async def read_authorization_request(
    parameters: Parameters,
    address: ReturnAddress,
    *,
    client: OAuthClient,
    supported_scopes: Collection[str],
    find_hinted: Callable[[str], Awaitable[str | None]],
) -> AuthorizationRequest:
    """Return what a client asks for, whose answer goes to `address`.

    `find_hinted` returns whom an ID token that the client was given is about, or `None`.

    Raises:
        AuthorizationError: If it cannot have that, or does not ask for it as it should.
    """
    parameters.find_text("state")
    _check_kind(parameters, client)
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=address.redirect_uri,
        state=address.state,
        scopes=_read_scopes(parameters, client, supported_scopes),
        code_challenge=_read_challenge(parameters),
        nonce=parameters.find_text("nonce"),
        prompts=_read_prompts(parameters),
        max_age=_read_max_age(parameters),
        acr_values=parameters.find_list("acr_values"),
        login_hint=_read_login_hint(parameters),
        expected_subject=await _read_hint(parameters, find_hinted),
    )


def _check_kind(parameters: Parameters, client: OAuthClient) -> None:
    for name, error in _UNSUPPORTED.items():
        if parameters.is_sent(name):
            raise AuthorizationError(error)
    response_type = parameters.find("response_type")
    if response_type is None:
        raise AuthorizationError("invalid_request", "response_type is missing")
    if response_type != "code":
        raise AuthorizationError("unsupported_response_type")
    if parameters.find("response_mode") not in {None, "query"}:
        raise AuthorizationError("invalid_request", "response_mode is not supported")
    if "authorization_code" not in client.grant_types:
        raise AuthorizationError("unauthorized_client")


def _read_scopes(
    parameters: Parameters, client: OAuthClient, supported: Collection[str]
) -> tuple[str, ...]:
    scopes = parameters.find_list("scope")
    # Fewer than were asked for would surprise the client later.
    if not scopes or not all(is_scope(one) for one in scopes):
        raise AuthorizationError("invalid_scope", "scope is missing or not valid")
    if not set(scopes) <= set(client.scopes) & set(supported):
        raise AuthorizationError("invalid_scope", "A scope is not known, or not for this client")
    return scopes


def _read_challenge(parameters: Parameters) -> str:
    challenge = parameters.find("code_challenge")
    method = parameters.find("code_challenge_method")
    if challenge is None or method != "S256":
        raise AuthorizationError(
            "invalid_request", "code_challenge is needed, with code_challenge_method=S256"
        )
    if not CHALLENGE.fullmatch(challenge):
        raise AuthorizationError("invalid_request", "code_challenge is no SHA-256 in base64url")
    return challenge


def _read_prompts(parameters: Parameters) -> frozenset[str]:
    prompts = frozenset(parameters.find_list("prompt"))
    if not prompts <= set(PROMPTS):
        raise AuthorizationError("invalid_request", "prompt is not supported")
    if "none" in prompts and len(prompts) > 1:
        raise AuthorizationError("invalid_request", "prompt=none goes with nothing else")
    return prompts


def _read_max_age(parameters: Parameters) -> timedelta | None:
    text = parameters.find("max_age")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        raise AuthorizationError("invalid_request", "max_age is no number of seconds")
    return timedelta(seconds=int(text))


def _read_login_hint(parameters: Parameters) -> str | None:
    hint = parameters.find("login_hint")
    # It is only a hint, so one that cannot be shown is none.
    return hint if hint is not None and hint.isprintable() else None


async def _read_hint(
    parameters: Parameters, find_hinted: Callable[[str], Awaitable[str | None]]
) -> str | None:
    hint = parameters.find_text("id_token_hint")
    if hint is None:
        return None
    subject = await find_hinted(hint)
    if subject is None:
        raise AuthorizationError("invalid_request", "id_token_hint is no ID token of this client")
    return subject
