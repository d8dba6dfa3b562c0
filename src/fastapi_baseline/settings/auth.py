"""What a service is told about who may use it, and how they sign in."""

from datetime import timedelta
from pathlib import Path
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


class LoginProviderSettings(Section):
    """One OpenID provider that signs people in."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")] = "default"
    """What it is called where there are several: `/auth/login?provider=staff`."""
    issuer: str
    """Who it is, to the letter: what its metadata and its ID tokens say."""
    client_id: str
    """Who the service is for it."""
    client_secret: SecretStr | None = None
    """How the service proves that; unset needs a private key."""
    private_key: SecretStr | None = None
    """Or the private key by which it does (RFC 7523), as PEM or JWK."""
    scopes: TextList = ("openid", "profile", "email", "offline_access")
    """What it asks for; without `offline_access`, most give no refresh token."""
    algorithms: TextList = ("RS256", "ES256")
    """Which signatures of ID tokens count; asymmetric ones only."""
    roles_claim: str | None = None
    """Which claim of the ID token has the roles of a user; `a.b` is inside of `a`."""
    userinfo: bool = False
    """Whether its userinfo endpoint is asked as well: for claims that are not in the ID token."""
    knows_pkce: bool = False
    """Whether it knows PKCE though its metadata do not say so, as those of Entra ID; otherwise such
    a provider is refused."""


class LoginSettings(Section):
    """How people sign in with an OpenID provider; their tokens stay in the service."""

    client_id: str | None = None
    """Who the service is for the provider; set, people can sign in."""
    client_secret: SecretStr | None = None
    """How the service proves that."""
    private_key: SecretStr | None = None
    """Or the private key by which it does (RFC 7523), as PEM or JWK."""
    issuer: str | None = None
    """The provider; unset means the issuer whose access tokens are accepted."""
    scopes: TextList = ("openid", "profile", "email", "offline_access")
    """What it asks for; without `offline_access`, most give no refresh token."""
    roles_claim: str | None = None
    """Which claim of the ID token has the roles of a user; `a.b` is inside of `a`."""
    userinfo: bool = False
    """Whether its userinfo endpoint is asked as well: for claims that are not in the ID token."""
    knows_pkce: bool = False
    """Whether it knows PKCE though its metadata do not say so, as those of Entra ID; otherwise such
    a provider is refused."""
    providers: tuple[LoginProviderSettings, ...] = ()
    """Several providers, as JSON, each with its `name`, `issuer` and `client_id`."""
    transaction_lifetime: _PositiveDuration = timedelta(minutes=10)
    """How long somebody may take to sign in."""
    refresh_before: Annotated[Duration, Field(ge=timedelta(0))] = timedelta(seconds=30)
    """How long before its end an access token is replaced by a new one."""
    after_login: str = "/"
    """Where people are sent who did not say where they came from."""
    after_logout: str = "/"
    """Where people are sent who have signed out."""


class AuthorizationServerSettings(Section):
    """The tokens that the service issues itself, for its own programs and pages."""

    enabled: bool = False
    """Whether it issues any."""
    issuer: str | None = None
    """What its tokens say in `iss`; unset means `public_url`."""
    audience: TextList = ()
    """What its access tokens say in `aud`; unset means the issuer itself."""
    scopes: TextList = ()
    """What clients may ask for, besides `openid`, `profile`, `email` and `offline_access`."""
    scope_descriptions: dict[str, str] = Field(default_factory=dict[str, str])
    """What these mean, in words, for people who are asked whether a client may; as JSON."""
    algorithm: Literal["RS256", "ES256"] = "RS256"
    """What tokens are signed with; ID tokens of any client can be checked with `RS256`."""
    access_token_lifetime: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(hours=1))] = (
        timedelta(minutes=5)
    )
    """How long an access token lasts; nothing ends it sooner where it is only verified."""
    code_lifetime: Annotated[Duration, Field(gt=timedelta(0), le=timedelta(minutes=10))] = (
        timedelta(seconds=60)
    )
    """How long a code lasts that a client fetches its tokens with."""
    refresh_idle_lifetime: _PositiveDuration = timedelta(days=14)
    """How long a refresh token lasts that is not used."""
    refresh_absolute_lifetime: _PositiveDuration = timedelta(days=90)
    """How long a client may refresh until its user has to sign in again."""
    reuse_leeway: Annotated[Duration, Field(ge=timedelta(0), le=timedelta(minutes=1))] = timedelta(
        seconds=10
    )
    """How long a refresh token that comes twice counts as an accident; then it is a theft."""
    interaction_lifetime: _PositiveDuration = timedelta(minutes=10)
    """How long somebody may take to sign in and to agree."""
    key_notice: _PositiveDuration = timedelta(hours=24)
    """How long a key is published before anything is signed with it."""

    @model_validator(mode="after")
    def _check(self) -> "AuthorizationServerSettings":
        if self.refresh_idle_lifetime > self.refresh_absolute_lifetime:
            raise ValueError("refresh_idle_lifetime must not be longer than its absolute one")
        return self


class PageSettings(Section):
    """The pages on which people sign in and agree."""

    templates: Path | None = None
    """A folder with templates that take the place of those of the library, by name."""
    title: str | None = None
    """What the pages call the service; unset means its name."""


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
    login: LoginSettings = LoginSettings()
    """How people sign in with an OpenID provider."""
    server: AuthorizationServerSettings = AuthorizationServerSettings()
    """The tokens that the service issues itself."""
    pages: PageSettings = PageSettings()
    """The pages on which people sign in and agree."""
    public_url: str | None = None
    """The URL of the service as browsers know it (`https://shop.example.com`); never taken from a
    request. Where people come back to from a provider, and who the service is if it issues tokens."""
    secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, split_list] = ()
    """What the service encrypts the secrets with that it has to read again, 32 characters or more
    each: the first encrypts, and all decrypt."""
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
    def all_providers(self) -> tuple[LoginProviderSettings, ...]:
        """Return all providers that sign people in, the one that is named by itself first.

        The issuer of access tokens is it if nothing else is said; its `issuer` is empty if neither is.
        """
        login = self.login
        if login.client_id is None:
            return login.providers
        first = LoginProviderSettings(
            issuer=login.issuer or self.issuer or "",
            client_id=login.client_id,
            client_secret=login.client_secret,
            private_key=login.private_key,
            scopes=login.scopes,
            roles_claim=login.roles_claim,
            userinfo=login.userinfo,
            knows_pkce=login.knows_pkce,
        )
        return (first, *login.providers)

    @property
    def has_sessions(self) -> bool:
        """Return whether browsers have sessions: said by itself, or needed to sign in."""
        return self.sessions.enabled or bool(self.all_providers)

    @property
    def is_enabled(self) -> bool:
        """Return whether there is any way to say who one is."""
        ways = (self.all_issuers, self.api_keys.enabled, self.has_sessions, self.server.enabled)
        return any(ways)
