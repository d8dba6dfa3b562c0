"""What must be right of who may use a service that people depend on."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pydantic import SecretStr

from fastapi_baseline.auth.issuing_checks import ISSUING_CHECKS
from fastapi_baseline.auth.route_decisions import find_undecided
from fastapi_baseline.auth.routes import access_routes_of
from fastapi_baseline.deployment_checks import (
    Deployment,
    DeploymentCheck,
    find_weakness,
    is_https,
    stays_here,
)
from fastapi_baseline.inspection import Finding
from fastapi_baseline.settings import IssuerSettings, Settings

ISSUER_FINDINGS = frozenset(
    {"algorithm_not_asymmetric", "audience_missing", "development_issuer", "issuer_not_https"}
)
"""What is found of issuers that an application refuses to start with."""
SESSION_FINDINGS = frozenset({"session_origin_untrustworthy"})
"""Likewise, of sessions."""

_LONGEST_SESSION = timedelta(days=30)  # NIST SP 800-63B-4, section 2.1.3
_SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4, section 3.1.1.1
_MAKE_ONE = "Make one: openssl rand -hex 32"
_USERS_PACKAGE = "fastapi_baseline.auth.users."
# Those of Keycloak's account pages and of Microsoft Graph are in tokens for every client.
_SHARED_AUDIENCES = frozenset({"*", "account", "00000003-0000-0000-c000-000000000000"})


def has_users(deployment: Deployment) -> bool:
    """Return whether a service knows its users itself: whether it has routes for them."""
    return deployment.app is not None and any(
        route.name.endpoint.startswith(_USERS_PACKAGE) for route in access_routes_of(deployment.app)
    )


def find_undecided_routes(deployment: Deployment) -> Iterator[Finding]:
    """Find routes of a service that knows who is asking, and that do not care."""
    if deployment.app is None or not deployment.settings.auth.is_enabled:
        return
    for route in find_undecided(deployment.app):
        yield Finding(
            id="undecided_route",
            what=f"{route} neither asks who is asking nor says that it is for everybody.",
            remedy="Give it CurrentPrincipal or another guard, or mark it @public.",
            can_be_accepted=False,
        )


def check_authentication(deployment: Deployment) -> Iterator[Finding]:
    """Find that nobody can say who they are."""
    if deployment.app is None or deployment.settings.auth.is_enabled:
        return
    undecided = find_undecided(deployment.app)
    if undecided:
        yield Finding(
            id="no_authentication",
            what=(
                f"No issuer, key or session is set up, and there are routes that do not say that "
                f"they are for everybody ({len(undecided)})."
            ),
            remedy="Set AUTH__ISSUER and AUTH__AUDIENCE, or mark the routes @public.",
        )


def check_issuers(deployment: Deployment) -> Iterator[Finding]:
    """Find issuers that somebody else can speak for, and tokens that are for somebody else."""
    for issuer in deployment.settings.auth.all_issuers:
        yield from _check_transport(issuer)
        yield from _check_audience(issuer)
        for algorithm in issuer.algorithms:
            if algorithm.lower() == "none" or algorithm.upper().startswith("HS"):
                yield Finding(
                    id="algorithm_not_asymmetric",
                    what=f"The algorithms of {issuer.issuer} contain {algorithm}.",
                    remedy="Name asymmetric ones, such as RS256 and ES256.",
                )


def check_resource(deployment: Deployment) -> Iterator[Finding]:
    """Find that callers are told to go where everybody can listen."""
    resource = deployment.settings.auth.resource
    if resource is not None and not is_https(resource):
        yield Finding(
            id="resource_not_https",
            what=f"AUTH__RESOURCE is {resource}: callers are told to send tokens there.",
            remedy="Set it to the https URL of the service.",
        )


def _check_transport(issuer: IssuerSettings) -> Iterator[Finding]:
    if not is_https(issuer.issuer):
        is_development = issuer.issuer == "development"
        yield Finding(
            id="development_issuer" if is_development else "issuer_not_https",
            what=(
                "AUTH__ISSUER is the issuer of this machine, which prints tokens for anybody."
                if is_development
                else f"The issuer {issuer.issuer} is not https: its keys can be replaced on the way."
            ),
            remedy="Set AUTH__ISSUER to the https URL of the identity provider.",
        )
    for name, url in (
        ("jwks_url", issuer.jwks_url),
        ("introspection_url", issuer.introspection_url),
    ):
        if url is not None and not stays_here(url):
            yield Finding(
                id="issuer_not_https",
                what=f"The {name} of {issuer.issuer} is not https.",
                remedy="Set it to an https URL.",
            )


def _check_audience(issuer: IssuerSettings) -> Iterator[Finding]:
    if not issuer.audience:
        yield Finding(
            id="audience_missing",
            what=f"The issuer {issuer.issuer} has no audience: tokens for anybody count here.",
            remedy="Set its audience to what its tokens for this service have in aud.",
        )
    for audience in sorted(_SHARED_AUDIENCES.intersection(issuer.audience)):
        yield Finding(
            id="audience_shared",
            what=f"The audience {audience!r} of {issuer.issuer} is in tokens for other services.",
            remedy="Have the issuer put a name of this service alone into aud.",
        )


def check_sessions(deployment: Deployment) -> Iterator[Finding]:
    """Find sessions that one process alone knows, last too long, or serve foreign pages."""
    settings, sessions = deployment.settings, deployment.settings.auth.sessions
    if not settings.auth.has_sessions:
        return
    if _is_in_memory(settings):
        yield Finding(
            id="sessions_in_memory",
            what=(
                "Sessions are kept in the memory of each process: other workers do not know them, "
                "a restart ends them all, and a revocation reaches one process only."
            ),
            remedy="Set REDIS_URL or DATABASE_URL, and AUTH__SESSIONS__STORE to auto.",
        )
    if sessions.absolute_timeout > _LONGEST_SESSION:
        yield Finding(
            id="sessions_too_long",
            what="AUTH__SESSIONS__ABSOLUTE_TIMEOUT is more than 30 days.",
            remedy="Set it to less: a cookie that was stolen is good for that long.",
        )
    for origin in sessions.trusted_origins:
        if not is_https(origin) or "*" in origin:
            yield Finding(
                id="session_origin_untrustworthy",
                what=(
                    f"AUTH__SESSIONS__TRUSTED_ORIGINS contains {origin!r}: whoever is between it "
                    f"and its visitors can act for them."
                ),
                remedy="Name origins with https, one by one.",
            )


def check_users(deployment: Deployment) -> Iterator[Finding]:
    """Find that users cannot be written to, or that their passwords can be guessed."""
    if not has_users(deployment):
        return
    settings = deployment.settings
    if settings.database_url is None or not settings.auth.has_sessions:
        yield Finding(
            id="users_without_sessions",
            what="There are routes for users, who are kept in a database and have sessions.",
            remedy="Set DATABASE_URL and AUTH__SESSIONS__ENABLED=true.",
        )
    yield from _check_mail(settings)
    users = settings.auth.users
    if not users.sign_ins_per_address or not users.sign_ins_per_account:
        yield Finding(
            id="sign_ins_unlimited",
            what=(
                "AUTH__USERS__SIGN_INS_PER_ADDRESS or AUTH__USERS__SIGN_INS_PER_ACCOUNT is empty: "
                "passwords can be tried without end."
            ),
            remedy="Unset both, or give each a limit such as 10/5 minutes.",
        )
    if not users.mails_per_account:
        yield Finding(
            id="mails_unlimited",
            what="AUTH__USERS__MAILS_PER_ACCOUNT is empty: anybody can flood a mailbox.",
            remedy="Unset it, or give it a limit such as 3/hour.",
        )
    if users.password_min_length < _SHORTEST_PASSWORD:
        yield Finding(
            id="passwords_too_short",
            what=f"AUTH__USERS__PASSWORD_MIN_LENGTH is {users.password_min_length}.",
            remedy=f"Unset it: a password that is asked for alone has {_SHORTEST_PASSWORD}.",
        )
    auth = settings.auth
    if not (auth.secret_keys or auth.all_providers or auth.server.enabled):
        yield Finding(
            id="secret_keys_missing",
            what="AUTH__SECRET_KEYS is not set: secrets of second factors cannot be encrypted.",
            remedy=_MAKE_ONE,
        )


def _check_mail(settings: Settings) -> Iterator[Finding]:
    url, page_url = settings.mail.smtp_url, settings.auth.users.page_url
    if url is None:
        yield Finding(
            id="smtp_missing",
            what="MAIL__SMTP_URL is not set: nobody can verify an address or reset a password.",
            remedy="Set it to smtps://user:password@host:465.",
        )
    elif settings.mail.sender.endswith("@localhost"):
        yield Finding(
            id="mail_sender_default",
            what=f"MAIL__SENDER is {settings.mail.sender}, which no mail server lets through.",
            remedy="Set it to an address of the service's domain.",
        )
    if page_url is None or not is_https(page_url):
        yield Finding(
            id="page_url_not_https",
            what="AUTH__USERS__PAGE_URL is not an https URL: links in letters begin with it.",
            remedy="Set it to where the pages of the service are, such as https://shop.example.com.",
        )


def check_auth_secrets(deployment: Deployment) -> Iterator[Finding]:
    """Find secrets that somebody could guess, or that serve two purposes."""
    auth, settings = deployment.settings.auth, deployment.settings
    own = [("AUTH__SECRET_KEYS", key) for key in auth.secret_keys]
    for name, secret in own:
        yield from _weak(name, find_weakness(secret.get_secret_value()))
    for issuer in auth.all_issuers:
        if issuer.client_secret is not None:
            value = issuer.client_secret.get_secret_value()
            # Its length is for the issuer to choose.
            yield from _weak(
                f"The client_secret of {issuer.issuer}", find_weakness(value, shortest=1)
            )
    named = [
        *own,
        ("DATABASE__CURSOR_KEY", settings.database.cursor_key),
        ("MANAGEMENT__TOKEN", settings.management.token),
    ]
    yield from _reused([(name, secret) for name, secret in named if secret is not None])


def _weak(name: str, weakness: str | None) -> Iterator[Finding]:
    if weakness is not None:
        yield Finding(id="weak_secret", what=f"{name} {weakness}.", remedy=_MAKE_ONE)


def _reused(secrets: Sequence[tuple[str, SecretStr]]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for name, secret in secrets:
        other = first.setdefault(secret.get_secret_value(), name)
        if other != name:
            yield Finding(
                id="secret_reused",
                what=f"{name} is the same as {other}: who learns one has both.",
                remedy=_MAKE_ONE,
            )


def _is_in_memory(settings: Settings) -> bool:
    store = settings.auth.sessions.store
    shared = settings.redis_url is not None or settings.database_url is not None
    return store == "memory" or (store == "auto" and not shared)


AUTH_CHECKS: Sequence[DeploymentCheck] = (
    check_authentication,
    check_issuers,
    check_resource,
    check_sessions,
    check_users,
    check_auth_secrets,
    *ISSUING_CHECKS,
)
"""What is checked of who may use a service."""
