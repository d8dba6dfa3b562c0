"""What Authlib asks about verifiers."""

from types import MappingProxyType
from typing import Any

from fastapi_baseline.auth.server.errors import InvalidGrantError, ProtocolError
from fastapi_baseline.auth.server.protocol.authlib_classes import CodeChallengeBase
from fastapi_baseline.auth.server.protocol.pkce import (
    METHOD,
    is_challenge,
    is_made_of,
    is_verifier,
)


class StrictCodeChallenge(CodeChallengeBase):
    """What Authlib asks for a verifier with; it is asked for whatever the client is."""

    DEFAULT_CODE_CHALLENGE_METHOD = METHOD
    SUPPORTED_CODE_CHALLENGE_METHOD = (METHOD,)
    CODE_CHALLENGE_METHODS = MappingProxyType({METHOD: is_made_of})

    def validate_code_verifier(self, grant: Any, result: Any) -> None:
        """Refuse a request whose verifier is not that of the code.

        Raises:
            ProtocolError: If there is none, or what cannot be one.
            InvalidGrantError: If it is another one.
        """
        verifier: str | None = grant.request.form.get("code_verifier")
        if verifier is None or not is_verifier(verifier):
            raise ProtocolError("The code_verifier is missing, or malformed.")
        if not is_challenge(grant.request.authorization_code.code_challenge):
            # A code that was asked for without a challenge: there is none, and never was.
            raise InvalidGrantError
        base: Any = super()
        base.validate_code_verifier(grant, result)
