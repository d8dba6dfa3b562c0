"""What goes wrong with the sessions of those who have signed in with a provider."""

from fastapi_baseline.errors import ForbiddenError, InvalidRequestError, UnauthenticatedError


class ProviderTokensMissingError(ForbiddenError):
    """The asker has not signed in with a provider, so there are no tokens of theirs."""

    code = "provider_tokens_missing"
    default_message = "This is for those who have signed in with a provider."


class ProviderTokensEndedError(UnauthenticatedError):
    """The access token has ended, and the provider has given nothing to replace it with."""

    code = "provider_tokens_ended"
    default_message = "The access has ended. Sign in again."


class ProxyPathError(InvalidRequestError):
    """The path or the query of a request may mean something else to the service behind."""

    code = "invalid_path"
    default_message = "The path of the request is not accepted."
