"""What a service is told about who may use it: issuers of tokens, API keys, sessions and users."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, PositiveInt, SecretStr, model_validator
from pydantic_settings import NoDecode

from fastapi_baseline.settings.values import Duration, Section, TextList, split_list

TokenPreset = Literal["standard", "auth0", "cognito", "entra", "keycloak", "okta"]
_PositiveDuration = Annotated[Duration, Field(gt=timedelta(0))]


class IssuerSettings(Section):
    """One issuer whose access tokens are accepted."""

    issuer: str
    """What its tokens say in `iss`, to the letter: the URL of the issuer."""
    audience: TextList
    """What its tokens must say in `aud`: one of these."""
    preset: TokenPreset = "standard"
    """Whose tokens these are: how they differ from RFC 9068, and where they have scopes and roles."""
    algorithms: TextList = ("RS256", "ES256")
    """Which signatures count; asymmetric ones only."""
    jwks_url: str | None = None
    """Where its keys are; unset means that its metadata say so."""
    introspection_url: str | None = None
    """Where to ask about tokens that are opaque (RFC 7662); unset means that they are refused."""
    client_id: str | None = None
    """Who the service is when it asks."""
    client_secret: SecretStr | None = None
    """How it proves that."""


class TokenSettings(Section):
    """How tokens are verified."""

    clock_skew: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=2))] = timedelta(
        seconds=30
    )
    """By how much the clocks of issuers may differ from ours."""
    keys_max_age: _PositiveDuration = timedelta(minutes=10)
    """How long the keys of an issuer are believed, unless it says otherwise."""
    keys_max_stale: _PositiveDuration = timedelta(hours=24)
    """How much longer they are if it does not answer."""
    keys_cooldown: _PositiveDuration = timedelta(seconds=30)
    """How long a key that is not known is not looked for again."""
    timeout: _PositiveDuration = timedelta(seconds=5)
    """How long an issuer is waited for."""
    introspection_max_age: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(seconds=30)
    """How long what an issuer says of an opaque token is believed, at most."""


class ApiKeySettings(Section):
    """Keys of programs, which the service issues itself and keeps in its database."""

    enabled: bool = False
    """Whether there are any."""
    header: str = "X-API-Key"
    """The header that they come in."""
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,15}$")] = "key"
    """What each begins with, so that scanners of repositories find one that was published."""
    cache_max_age: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=5))] = timedelta(
        seconds=10
    )
    """How long a process believes a key that it has looked up; where another one has revoked it, it
    is good for so much longer. 0 looks each up for each request."""


class SessionSettings(Section):
    """Sessions of browsers, which the service keeps itself."""

    enabled: bool = False
    """Whether there are any."""
    store: Literal["auto", "database", "redis", "memory"] = "auto"
    """Where they are kept: `auto` is Redis, or else the database, or else each process's memory."""
    idle_timeout: _PositiveDuration = timedelta(minutes=30)
    """How long a session lasts that nobody uses."""
    absolute_timeout: _PositiveDuration = timedelta(hours=12)
    """How long any session lasts."""
    cookie_name: Annotated[str, Field(pattern=r"^__Host-[A-Za-z0-9_-]+$")] = "__Host-session"
    """The cookie that a session comes in; browsers let `__Host-` be set by this host only."""
    same_site: Literal["lax", "strict"] = "lax"
    """Whether a link from another site arrives with the session."""
    csrf_header: str = "X-Requested-With"
    """The header that requests which change something must have, with any value."""
    trusted_origins: TextList = ()
    """Other origins whose pages may use a session; those of `CORS_ORIGINS` are not among them."""
    max_per_subject: PositiveInt = 50
    """How many sessions one user has at a time; the oldest ends if there is one more."""

    @model_validator(mode="after")
    def _check(self) -> "SessionSettings":
        if self.idle_timeout > self.absolute_timeout:
            raise ValueError("idle_timeout must not be longer than absolute_timeout")
        return self


class UserSettings(Section):
    """Users whom the service knows itself."""

    registration: Literal["open", "closed"] = "closed"
    """Whether anybody may register."""
    requires_verified_email: bool = True
    """Whether who has not verified an address of e-mail may not sign in."""
    password_min_length: Annotated[int, Field(ge=8)] = 15
    """How many characters a password has at least, if nothing else is asked for."""
    password_min_length_with_second_factor: Annotated[int, Field(ge=8)] = 8
    """Likewise, of users who have a second factor."""
    hashing_workers: Annotated[int, Field(ge=1, le=16)] = 2
    """How many passwords one process hashes at a time, with 64 MiB each."""
    verification_lifetime: _PositiveDuration = timedelta(hours=24)
    """How long a link lasts that verifies an address."""
    reset_lifetime: _PositiveDuration = timedelta(minutes=30)
    """How long a link lasts that resets a password."""
    sign_ins_per_address: TextList = ("30/minute",)
    """How many attempts to sign in one address has."""
    sign_ins_per_account: TextList = ("10/5 minutes",)
    """How many failures one account has from places that it was never used from."""
    mails_per_account: TextList = ("3/hour",)
    """How many letters one account is sent."""
    page_url: str | None = None
    """What links in letters begin with (`https://shop.example.com`); never taken from a request."""


class MailSettings(Section):
    """How the service sends e-mail."""

    smtp_url: SecretStr | None = None
    """Where to (`smtps://user:password@host:465`, `smtp://host:587`); unset means that letters are
    written to the log, in development and tests only."""
    sender: str = "service@localhost"
    """Who they are from."""


class AuthSettings(Section):
    """Who may use the service."""

    issuer: str | None = None
    """The issuer whose access tokens are accepted; shorter than `issuers` with one."""
    audience: TextList = ()
    """What its tokens must say in `aud`: one of these."""
    preset: TokenPreset = "standard"
    """Whose tokens these are: how they differ from RFC 9068, and where they have scopes and roles."""
    algorithms: TextList = ("RS256", "ES256")
    """Which signatures count; asymmetric ones only."""
    jwks_url: str | None = None
    """Where its keys are; unset means that its metadata say so."""
    issuers: tuple[IssuerSettings, ...] = ()
    """Several issuers, as JSON, each with its `issuer` and `audience`."""
    resource: str | None = None
    """The URL of the service as its callers know it; if set, they can read there which issuers it
    trusts (RFC 9728), and are told so when they come without a token."""
    tokens: TokenSettings = TokenSettings()
    """How tokens are verified."""
    api_keys: ApiKeySettings = ApiKeySettings()
    """Keys of programs."""
    sessions: SessionSettings = SessionSettings()
    """Sessions of browsers."""
    users: UserSettings = UserSettings()
    """Users whom the service knows itself."""
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, split_list] = ()
    """What secrets of second factors are encrypted with in the database, 32 characters or more each:
    the first encrypts, and all decrypt."""
    refuse_undecided: bool | None = None
    """Whether the service does not start while a route neither asks who it is nor says that it is
    public; unset means in staging and production."""

    @model_validator(mode="after")
    def _check(self) -> "AuthSettings":
        if self.issuer is not None and not self.audience:
            raise ValueError("audience must say for whom the tokens of the issuer are")
        if self.issuer is None and self.audience:
            raise ValueError("audience is set, and issuer is not")
        return self

    @property
    def all_issuers(self) -> tuple[IssuerSettings, ...]:
        """Return all issuers, the one that is named by itself first."""
        if self.issuer is None:
            return self.issuers
        first = IssuerSettings(
            issuer=self.issuer,
            audience=self.audience,
            preset=self.preset,
            algorithms=self.algorithms,
            jwks_url=self.jwks_url,
        )
        return (first, *self.issuers)

    @property
    def is_enabled(self) -> bool:
        """Return whether there is any way to say who one is."""
        return bool(self.all_issuers) or self.api_keys.enabled or self.sessions.enabled
