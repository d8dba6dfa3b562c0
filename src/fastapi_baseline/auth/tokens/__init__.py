"""Access tokens of issuers, such as the identity provider of a company.

`make_bearer_tokens` makes of the settings what accepts them. Tokens are JSON Web Tokens, verified
with the keys that the issuer publishes, or opaque ones, which the issuer is asked about.
"""

from fastapi_baseline.auth.tokens.bearer import BearerTokens, ProofOfPossession, make_bearer_tokens
from fastapi_baseline.auth.tokens.errors import (
    InvalidTokenError,
    IssuerUnavailableError,
)
from fastapi_baseline.auth.tokens.issuers import (
    ASYMMETRIC_ALGORITHMS,
    Introspection,
    TrustedIssuer,
    make_trusted_issuer,
)
from fastapi_baseline.auth.tokens.key_ring import KeySource
from fastapi_baseline.auth.tokens.metadata import make_protected_resource_router
from fastapi_baseline.auth.tokens.preloading import preload
from fastapi_baseline.auth.tokens.presets import PROFILES, TokenProfile

__all__ = [
    "ASYMMETRIC_ALGORITHMS",
    "PROFILES",
    "BearerTokens",
    "Introspection",
    "InvalidTokenError",
    "IssuerUnavailableError",
    "KeySource",
    "ProofOfPossession",
    "TokenProfile",
    "TrustedIssuer",
    "make_bearer_tokens",
    "make_protected_resource_router",
    "make_trusted_issuer",
    "preload",
]
