"""The providers that sign people in, as the settings describe them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import SecretStr

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.tokens.addresses import check_address
from fastapi_baseline.auth.tokens.issuers import ASYMMETRIC_ALGORITHMS
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.settings.auth import LoginProviderSettings

with optional("joserfc", extra="oauth2"):
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey, RSAKey

ClientKey = RSAKey | ECKey
"""A private key by which the service proves to a provider who it is."""

_BY_CURVE = MappingProxyType({"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"})
_MIN_RSA_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OpenID provider, and who the service is for it: a client with a secret, or with a key.

    `issuer` is what its metadata and its ID tokens say, to the letter.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: SecretStr | None = None
    private_key: ClientKey | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid",)
    algorithms: tuple[str, ...] = ("RS256", "ES256")
    roles_claim: str | None = None
    reads_userinfo: bool = False
    knows_pkce: bool = False
    """Whether it does though its metadata do not say so."""

    def __post_init__(self) -> None:
        """Check what nobody could sign in safely under.

        Raises:
            ConfigurationError: If the provider is not behind TLS, the service cannot prove who it
                is, or a signature counts that is none.
        """
        check_address(self.issuer, what=f"The issuer of the provider {self.name!r}")
        if (self.client_secret is None) == (self.private_key is None):
            raise ConfigurationError(
                f"The provider {self.name!r} needs a client_secret or a private_key, and not both."
            )
        if "openid" not in self.scopes:
            raise ConfigurationError(f"The scopes of the provider {self.name!r} need openid.")
        if not self.algorithms or not ASYMMETRIC_ALGORITHMS.issuperset(self.algorithms):
            raise ConfigurationError(
                f"The provider {self.name!r} needs algorithms that are asymmetric: "
                f"{', '.join(sorted(ASYMMETRIC_ALGORITHMS))}."
            )


def make_provider(settings: LoginProviderSettings) -> Provider:
    """Return the provider that settings describe.

    Raises:
        ConfigurationError: If nobody could sign in safely under them.
    """
    key = settings.private_key
    return Provider(
        name=settings.name,
        issuer=settings.issuer,
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        private_key=None if key is None else _import_key(key, provider=settings.name),
        scopes=settings.scopes,
        algorithms=settings.algorithms,
        roles_claim=settings.roles_claim,
        reads_userinfo=settings.userinfo,
        knows_pkce=settings.knows_pkce,
    )


def make_providers(settings: Sequence[LoginProviderSettings]) -> tuple[Provider, ...]:
    """Return the providers that settings describe.

    Raises:
        ConfigurationError: If there is none, two have one name or one issuer and client, or share a
            private key: what one of them is shown could be shown to the other.
    """
    if not settings:
        raise ConfigurationError("Nobody can sign in: set AUTH__LOGIN__CLIENT_ID.")
    providers = tuple(make_provider(one) for one in settings)
    if len({one.name for one in providers}) != len(providers):
        raise ConfigurationError("Each provider needs a name of its own.")
    if len({one.issuer for one in providers}) != len(providers):
        raise ConfigurationError("Each issuer can be a provider once.")
    keys = [one.private_key.thumbprint() for one in providers if one.private_key is not None]
    if len(set(keys)) != len(keys):
        raise ConfigurationError("Each provider needs a private key of its own.")
    return providers


def algorithm_of(key: ClientKey) -> str:
    """Return the algorithm that a key signs with."""
    return "RS256" if isinstance(key, RSAKey) else _BY_CURVE[key.curve_name]


def _import_key(secret: SecretStr, *, provider: str) -> ClientKey:
    text = secret.get_secret_value().strip()
    try:
        key = _read_key(text)
    except ValueError:
        # What the library says might have something of the key.
        key = None
    if key is None or not key.is_private or not _is_strong(key):
        raise ConfigurationError(
            f"The private_key of the provider {provider!r} must be the PEM or the JWK of a private "
            "key: RSA of 2048 bits or more, or EC."
        )
    return key


def _read_key(text: str) -> ClientKey | None:
    value = json.loads(text) if text.startswith("{") else text
    for kind in (RSAKey, ECKey):
        try:
            return kind.import_key(value)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return None


def _is_strong(key: ClientKey) -> bool:
    if isinstance(key, RSAKey):
        return key.public_key.key_size >= _MIN_RSA_BITS
    return key.curve_name in _BY_CURVE
