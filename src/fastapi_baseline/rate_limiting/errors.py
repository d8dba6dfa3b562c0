"""What refuses a request besides its limits."""

from fastapi_baseline.errors import UnavailableError


class RateLimitUnavailableError(UnavailableError):
    """Nobody can tell whether a caller is within a limit that must hold, so nothing is done."""

    code = "rate_limit_unavailable"
    default_message = "The request was not carried out: limits cannot be checked at present."
