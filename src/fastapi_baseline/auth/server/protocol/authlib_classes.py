"""What is used of Authlib. It has no types, so what it has is `Any`, here and nowhere else."""

import importlib
import logging
from typing import Any

from fastapi_baseline._extras import Untyped, optional

with optional("authlib", extra="oauth2"):
    _rfc6749: Any = importlib.import_module("authlib.oauth2.rfc6749")
    _grants: Any = importlib.import_module("authlib.oauth2.rfc6749.grants")
    _rfc7636: Any = importlib.import_module("authlib.oauth2.rfc7636")

# Its messages of the level DEBUG have tokens and verifiers in them.
logging.getLogger("authlib").setLevel(logging.INFO)

_AnyClass = type[Untyped]

AuthorizationServerBase: _AnyClass = _rfc6749.AuthorizationServer
BasicPayload: Any = importlib.import_module("authlib.oauth2.rfc6749.requests").BasicOAuth2Payload
ClientBase: _AnyClass = _rfc6749.ClientMixin
ClientCredentialsGrantBase: _AnyClass = _grants.ClientCredentialsGrant
CodeChallengeBase: _AnyClass = _rfc7636.CodeChallenge
CodeGrantBase: _AnyClass = _grants.AuthorizationCodeGrant
RefreshTokenGrantBase: _AnyClass = _grants.RefreshTokenGrant
RequestBase: _AnyClass = _rfc6749.OAuth2Request
TokenBase: _AnyClass = _rfc6749.TokenMixin
