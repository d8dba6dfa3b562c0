"""What goes wrong with Redis."""

from fastapi_baseline.errors import UnavailableError


class RedisUnavailableError(UnavailableError):
    """Redis does not answer, or refuses to."""

    code = "redis_unavailable"
