"""What is used of Authlib. It has no types, so what it has is `Any`, here and nowhere else."""

import importlib
import logging
from typing import Any

from fastapi_baseline._extras import optional

with optional("authlib", extra="oauth2"):
    _rfc6749: Any = importlib.import_module("authlib.oauth2.rfc6749")
    _grants: Any = importlib.import_module("authlib.oauth2.rfc6749.grants")
    _rfc7636: Any = importlib.import_module("authlib.oauth2.rfc7636")

# Its messages of the level DEBUG have tokens and verifiers in them.
logging.getLogger("authlib").setLevel(logging.INFO)

AuthorizationServerBase: Any = _rfc6749.AuthorizationServer
BasicPayload: Any = importlib.import_module("authlib.oauth2.rfc6749.requests").BasicOAuth2Payload
ClientBase: Any = _rfc6749.ClientMixin
ClientCredentialsGrantBase: Any = _grants.ClientCredentialsGrant
CodeChallengeBase: Any = _rfc7636.CodeChallenge
CodeGrantBase: Any = _grants.AuthorizationCodeGrant
RefreshTokenGrantBase: Any = _grants.RefreshTokenGrant
RequestBase: Any = _rfc6749.OAuth2Request
TokenBase: Any = _rfc6749.TokenMixin
