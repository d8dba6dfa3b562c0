"""What cannot be kept."""

from fastapi_baseline.errors import ConfigurationError


class UncacheableValueError(ConfigurationError):
    """A value cannot be kept so that the same comes back; the message says what to change."""

    code = "uncacheable_value"
    default_message = "The value cannot be kept."


class InvalidTagError(ConfigurationError):
    """A tag or a namespace is empty, or has characters that it may not have."""

    code = "invalid_cache_tag"
    default_message = "The name is none of a tag or a namespace."
