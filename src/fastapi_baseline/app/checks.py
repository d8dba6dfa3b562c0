"""What must be right of any service that people depend on, and what its features add to that."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI
from pydantic import SecretStr

from fastapi_baseline.auth.deployment_checks import AUTH_CHECKS, find_undecided_routes, has_users
from fastapi_baseline.deployment_checks import (
    Deployment,
    DeploymentCheck,
    added_checks,
    find_weakness,
    is_https,
)
from fastapi_baseline.inspection import Finding, Inspection, Refusal
from fastapi_baseline.settings import Settings

SERVICE_CHECKS: Mapping[str, str] = {
    "settings": "The service starts with its settings, and they do not contradict each other.",
    "routes": "Each route asks who is asking, or is marked as meant for everybody.",
    "migrations": "Migrations are in a row, can be taken back, and make what the models say.",
    "openapi": "Callers of the released API can go on as they do.",
    "deployment": "Nothing is unsafe where people depend on the service.",
}
"""What `baseline check` and `pytest --baseline` check of a service, by its name."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHORTEST_PASSWORD = 8
# The passwords that images and tutorials have, besides those that equal the name of the account.
_KNOWN_PASSWORDS = frozenset({"admin", "guest", "pass", "postgres", "redis", "root", "secret"})


def find_faults(inspection: Inspection, *, is_deployment: bool) -> Sequence[Finding]:
    """Return what is wrong with an application that was made while it was inspected.

    Some things are wrong anywhere: what it refuses to start with, settings that contradict each
    other, and routes that nobody has decided about. A deployment must also have no setting that
    is unsafe where people depend on it.
    """
    settings = inspection.settings
    if not isinstance(settings, Settings):
        return _refused(inspection.refusals, known=())
    app = inspection.app if isinstance(inspection.app, FastAPI) else None
    deployment = Deployment(app=app, settings=settings)
    checks: list[DeploymentCheck] = [check_contradictions, find_undecided_routes]
    if is_deployment:
        checks += [*DEPLOYMENT_CHECKS, *AUTH_CHECKS]
        checks += [] if app is None else added_checks(app)
    found = [finding for check in checks for finding in check(deployment)]
    return [*_refused(inspection.refusals, known=found), *found]


def _refused(refusals: Iterable[Refusal], *, known: Sequence[Finding]) -> Sequence[Finding]:
    # What a check has found, too, is shown once.
    ids = {finding.id for finding in known}
    messages = {finding.message for finding in known}
    return [
        Finding(
            id="start_refused",
            what=refusal.error.message,
            remedy="Put that right: the service does not start before.",
            can_be_accepted=False,
        )
        for refusal in refusals
        if refusal.error.message not in messages and ids.isdisjoint(refusal.known_as)
    ]


def check_contradictions(deployment: Deployment) -> Iterator[Finding]:
    """Find settings that start and then harm."""
    return deployment.settings.find_contradictions()


def check_environment(deployment: Deployment) -> Iterator[Finding]:
    """Find that what is checked is not what is deployed."""
    if not deployment.settings.is_deployed:
        yield Finding(
            id="environment_not_deployed",
            what=(
                f"ENVIRONMENT is {deployment.settings.environment!r}: defaults for development "
                f"hold."
            ),
            remedy="Set it to staging or production, and check with the settings of that.",
        )


def check_debugging(deployment: Deployment) -> Iterator[Finding]:
    """Find what shows more than it should, because it is for finding mistakes."""
    settings, app = deployment.settings, deployment.app
    if settings.log.level == "DEBUG":
        yield Finding(
            id="debug_log",
            what="LOG__LEVEL is DEBUG: libraries then log what they are sent.",
            remedy="Set it to INFO; /loggers changes the level of one logger for a while.",
        )
    if settings.database.echo:
        yield Finding(
            id="statements_logged",
            what="DATABASE__ECHO is true: statements are logged with their values.",
            remedy="Unset it.",
        )
    if settings.cache.debug_keys:
        yield Finding(
            id="cache_keys_shown",
            what="CACHE__DEBUG_KEYS is true: every client sees the keys of cached entries.",
            remedy="Unset it.",
        )
    if app is not None and app.debug:
        yield Finding(
            id="debug_mode",
            what="The application has debug=True: clients are shown tracebacks.",
            remedy="Take it out of create_app().",
        )


def check_documentation(deployment: Deployment) -> Iterator[Finding]:
    """Find that everybody may read how the service is called."""
    app = deployment.app
    if app is not None and app.openapi_url:
        yield Finding(
            id="documentation_open",
            what=f"Everybody can read {app.openapi_url}, which names every route.",
            remedy=(
                "Pass openapi_url=None to create_app() in deployed environments, or accept this "
                "if the API is meant to be known."
            ),
        )


def check_cors(deployment: Deployment) -> Iterator[Finding]:
    """Find origins that act for users and may be somebody else."""
    settings = deployment.settings
    if not settings.cors.allow_credentials:
        return
    for origin in settings.cors_origins:
        # Those that anybody has are refused everywhere.
        if origin not in {"*", "null"} and not is_https(origin):
            yield Finding(
                id="cors_origin_not_https",
                what=(
                    f"CORS_ORIGINS contains {origin!r}, with credentials: whoever is between it "
                    f"and its visitors can act for them."
                ),
                remedy="Name origins with https.",
            )


def check_proxies(deployment: Deployment) -> Iterator[Finding]:
    """Find that addresses of clients count, and are those of a proxy, or made up."""
    settings = deployment.settings
    for entry in settings.trusted_proxies:
        if _is_everyone(entry):
            yield Finding(
                id="trusted_proxies_everyone",
                what=f"TRUSTED_PROXIES contains {entry!r}: every client can say where it is from.",
                remedy="Name the addresses or networks of the proxies.",
            )
    counts = bool(settings.rate_limits.per_address) or has_users(deployment)
    if counts and not settings.trusted_proxies:
        yield Finding(
            id="trusted_proxies_missing",
            what=(
                "Attempts are counted per address, and TRUSTED_PROXIES is not set: behind a proxy, "
                "all clients have its address, and one of them can keep all others out."
            ),
            remedy="Name the addresses or networks of the proxies.",
        )


def check_management(deployment: Deployment) -> Iterator[Finding]:
    """Find that others than operators see what is for operators."""
    management = deployment.settings.management
    is_guarded = management.port is None or management.token is not None
    if not is_guarded and management.host not in _LOOPBACK:
        yield Finding(
            id="management_open",
            what=(
                f"MANAGEMENT__HOST is {management.host!r}, and there is no token: whoever reaches "
                f"that port reads metrics and changes levels of the log."
            ),
            remedy="Set MANAGEMENT__TOKEN, or accept this if only operators reach that network.",
        )
    if deployment.settings.health.details:
        yield Finding(
            id="health_details_open",
            what="HEALTH__DETAILS is true: everybody sees which systems the service needs.",
            remedy="Unset it; operators see the details with MANAGEMENT__TOKEN.",
        )


def check_headers(deployment: Deployment) -> Iterator[Finding]:
    """Find that browsers are not told to be careful, and bodies may be of any size."""
    settings = deployment.settings
    if not settings.security_headers.enabled:
        yield Finding(
            id="security_headers_off",
            what="SECURITY_HEADERS__ENABLED is false: browsers are not told to be careful.",
            remedy="Unset it, or accept this if a proxy sends these headers.",
        )
    elif not settings.security_headers.hsts_max_age:
        yield Finding(
            id="hsts_off",
            what="SECURITY_HEADERS__HSTS_MAX_AGE is 0: browsers may be led to plain HTTP.",
            remedy="Unset it.",
        )
    if settings.requests.max_body_size is None:
        yield Finding(
            id="bodies_unlimited",
            what="REQUESTS__MAX_BODY_SIZE is none: one request can take all memory.",
            remedy="Set it, and say max_body_size= where a route takes more.",
        )


def check_secrets(deployment: Deployment) -> Iterator[Finding]:
    """Find secrets that somebody could guess, and passwords of images and tutorials."""
    settings = deployment.settings
    for name, secret in (
        ("DATABASE__CURSOR_KEY", settings.database.cursor_key),
        ("MANAGEMENT__TOKEN", settings.management.token),
    ):
        weakness = None if secret is None else find_weakness(secret.get_secret_value())
        if weakness:
            yield Finding(
                id="weak_secret",
                what=f"{name} {weakness}.",
                remedy="Make one: openssl rand -hex 32",
            )
    for name, url in (
        ("DATABASE_URL", settings.database_url),
        ("DATABASE__REPLICA_URL", settings.database.replica_url),
        ("REDIS_URL", settings.redis_url),
    ):
        if url is not None and _has_known_password(url):
            yield Finding(
                id="default_password",
                what=f"The password in {name} is one that everybody tries first.",
                remedy="Set another, made at random.",
            )


DEPLOYMENT_CHECKS: Sequence[DeploymentCheck] = (
    check_environment,
    check_debugging,
    check_documentation,
    check_cors,
    check_proxies,
    check_management,
    check_headers,
    check_secrets,
)
"""What is checked of any service."""


def _is_everyone(entry: str) -> bool:
    try:
        return ip_network(entry, strict=False).prefixlen == 0
    except ValueError:
        # `*` is refused when the application is made; the names of groups are not everybody.
        return entry == "*"


def _has_known_password(url: SecretStr) -> bool:
    try:
        parts = urlsplit(url.get_secret_value())
    except ValueError:
        return False
    if not parts.password:
        return False
    password = unquote(parts.password)
    if password.lower() in {*_KNOWN_PASSWORDS, unquote(parts.username or "").lower()}:
        return True
    return find_weakness(password, shortest=_SHORTEST_PASSWORD) is not None
