"""Whose tokens are accepted, and under which conditions."""

from dataclasses import dataclass, field

from pydantic import SecretStr

from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.auth.tokens.presets import PROFILES, TokenProfile
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import IssuerSettings

ASYMMETRIC_ALGORITHMS = frozenset(
    {
        *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
        *("ES256", "ES384", "ES512", "Ed25519", "EdDSA"),
    }
)
"""The signatures that can be checked with a public key (RFC 7518, section 3.1; RFC 9864)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspection:
    """Where an issuer tells what a token is (RFC 7662), and as whom it is asked."""

    url: str
    client_id: str
    client_secret: SecretStr


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """An issuer whose access tokens are accepted.

    `issuer` is what its tokens say in `iss`, to the letter; one of `audiences` is what they must
    say in `aud`. Its keys are at `jwks_url`, or where its metadata say.
    """

    issuer: str
    audiences: frozenset[str]
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    profile: TokenProfile = field(default_factory=TokenProfile)
    jwks_url: str | None = None
    introspection: Introspection | None = None

    def __post_init__(self) -> None:
        """Check what no token could be safe under.

        Raises:
            ConfigurationError: If the issuer or its keys are not behind TLS, if nothing is said of
                the audience, or if a signature counts that is none.
        """
        check_address(self.issuer, what="The issuer")
        if self.jwks_url is not None:
            check_address(self.jwks_url, what="The URL of the keys of an issuer")
        if self.introspection is not None:
            check_address(self.introspection.url, what="The URL of the introspection of an issuer")
        if not self.audiences or not all(self.audiences):
            raise ConfigurationError(f"The issuer {self.issuer} needs an audience.")
        refused = sorted({*self.algorithms} - ASYMMETRIC_ALGORITHMS)
        if refused or not self.algorithms:
            raise ConfigurationError(
                f"The issuer {self.issuer} needs algorithms that are asymmetric: "
                f"{', '.join(sorted(ASYMMETRIC_ALGORITHMS))}."
            )


def make_trusted_issuer(settings: IssuerSettings) -> TrustedIssuer:
    """Return the issuer that settings describe.

    Raises:
        ConfigurationError: If no token could be safe under them.
    """
    introspection = None
    if settings.introspection_url is not None:
        if settings.client_id is None or settings.client_secret is None:
            raise ConfigurationError(
                f"To ask {settings.issuer} about tokens, the service needs a client_id and a "
                "client_secret."
            )
        introspection = Introspection(
            url=settings.introspection_url,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
        )
    return TrustedIssuer(
        issuer=settings.issuer,
        audiences=frozenset(settings.audience),
        algorithms=settings.algorithms,
        profile=PROFILES[settings.preset],
        jwks_url=settings.jwks_url,
        introspection=introspection,
    )
