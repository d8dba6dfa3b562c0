"""What must be right of signing in with a provider, and of issuing tokens."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from fastapi_baseline.deployment_checks import Deployment, DeploymentCheck, find_weakness, is_https
from fastapi_baseline.inspection import Finding

LOGIN_FINDINGS = frozenset(
    {
        "algorithm_not_asymmetric",
        "provider_not_https",
        "public_url_not_https",
        "secret_keys_missing",
    }
)
"""What is found of signing in that an application refuses to start with."""
SERVER_FINDINGS = frozenset({"public_url_not_https", "secret_keys_missing"})
"""Likewise, of issuing tokens."""

# For so long those who verify tokens keep the keys that they have fetched.
_SHORTEST_NOTICE = timedelta(minutes=10)
_LONGEST_GRANT = timedelta(days=365)
_MAKE_ONE = "Make one: openssl rand -hex 32"


def check_public_url(deployment: Deployment) -> Iterator[Finding]:
    """Find that people are sent, or tokens are issued, by an address that anybody can take over."""
    auth = deployment.settings.auth
    if not auth.all_providers and not auth.server.enabled:
        return
    issuer = auth.server.issuer if auth.server.enabled else None
    for name, url in (("PUBLIC_URL", auth.public_url), ("SERVER__ISSUER", issuer)):
        if name == "PUBLIC_URL" and url is None:
            what = "AUTH__PUBLIC_URL is not set: where people come back to is not for a request to say."
        elif url is not None and not is_https(url):
            what = f"AUTH__{name} is {url}: whoever is on the way can read codes and tokens."
        else:
            continue
        yield Finding(
            id="public_url_not_https",
            what=what,
            remedy="Set it to the https URL of the service as browsers know it.",
        )


def check_providers(deployment: Deployment) -> Iterator[Finding]:
    """Find providers that somebody else can speak for, and secrets that can be guessed."""
    for provider in deployment.settings.auth.all_providers:
        if not is_https(provider.issuer):
            yield Finding(
                id="provider_not_https",
                what=f"The provider {provider.issuer!r} is not https: anybody could sign people in.",
                remedy="Set AUTH__LOGIN__ISSUER to the https URL of the provider.",
            )
        for algorithm in provider.algorithms:
            if algorithm.lower() == "none" or algorithm.upper().startswith("HS"):
                yield Finding(
                    id="algorithm_not_asymmetric",
                    what=f"The algorithms of {provider.issuer} contain {algorithm}.",
                    remedy="Name asymmetric ones, such as RS256 and ES256.",
                )
        if provider.client_secret is not None:
            # Its length is for the provider to choose.
            weakness = find_weakness(provider.client_secret.get_secret_value(), shortest=1)
            if weakness is not None:
                yield Finding(
                    id="weak_secret",
                    what=f"The client_secret for {provider.issuer} {weakness}.",
                    remedy="Have the provider make another one.",
                )


def check_encryption(deployment: Deployment) -> Iterator[Finding]:
    """Find that what has to be secret cannot be encrypted."""
    auth = deployment.settings.auth
    if auth.secret_keys or not (auth.all_providers or auth.server.enabled):
        return
    yield Finding(
        id="secret_keys_missing",
        what="AUTH__SECRET_KEYS is not set: tokens of providers and signing keys are encrypted with it.",
        remedy=_MAKE_ONE,
    )


def check_lifetimes(deployment: Deployment) -> Iterator[Finding]:
    """Find keys that nobody has heard of when they sign, and grants that never end."""
    server = deployment.settings.auth.server
    if not server.enabled:
        return
    if server.key_notice < _SHORTEST_NOTICE:
        yield Finding(
            id="key_notice_too_short",
            what=(
                "AUTH__SERVER__KEY_NOTICE is less than ten minutes, for which others keep the keys: "
                "after a rotation they refuse tokens."
            ),
            remedy="Unset it, or set it to ten minutes and more.",
        )
    if server.refresh_absolute_lifetime > _LONGEST_GRANT:
        yield Finding(
            id="grants_too_long",
            what="AUTH__SERVER__REFRESH_ABSOLUTE_LIFETIME is more than a year.",
            remedy="Set it to less: a refresh token that was stolen is good for that long.",
        )


ISSUING_CHECKS: Sequence[DeploymentCheck] = (
    check_public_url,
    check_providers,
    check_encryption,
    check_lifetimes,
)
"""What is checked of signing in with a provider, and of issuing tokens."""
