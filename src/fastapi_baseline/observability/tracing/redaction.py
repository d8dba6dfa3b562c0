"""URLs without the secrets in them."""

from urllib.parse import unquote_plus

from fastapi_baseline.observability.logging.redaction import REDACTED, Redactor

# What the redactor of log lines does not know, since such words are common outside of URLs; the
# last five are those of OpenTelemetry's semantic conventions.
_SECRET_PARAMETERS = frozenset(
    {
        "assertion",
        "auth",
        "code",
        "code_verifier",
        "jwt",
        "key",
        "otp",
        "pin",
        "signature",
        "ticket",
        "sig",
        "x-amz-credential",
        "x-amz-security-token",
        "x-amz-signature",
        "x-goog-signature",
    }
)
_DEFAULT_REDACTOR = Redactor()


def redact_query(query: str, *, redactor: Redactor = _DEFAULT_REDACTOR) -> str:
    """Return a query string whose secrets are replaced: those of secret names, and tokens."""
    return "&".join(_redact_pair(pair, redactor) for pair in query.split("&")) if query else query


def redact_url(url: str, *, redactor: Redactor = _DEFAULT_REDACTOR) -> str:
    """Return a URL without its user, its password, and the secrets of its query and fragment."""
    rest, hash_sign, fragment = url.partition("#")
    place, question_mark, query = rest.partition("?")
    place = redactor.redact(_without_user(place))
    query = redact_query(query, redactor=redactor)
    return place + question_mark + query + hash_sign + redact_query(fragment, redactor=redactor)


def _redact_pair(pair: str, redactor: Redactor) -> str:
    name, equals, value = pair.partition("=")
    if not equals:
        return redactor.redact(pair)
    spoken = unquote_plus(name)
    if spoken.lower() in _SECRET_PARAMETERS or redactor.is_secret(spoken):
        return f"{name}={REDACTED}"
    cleaned = redactor.redact(decoded) if (decoded := unquote_plus(value)) else decoded
    return pair if cleaned == decoded else f"{name}={cleaned}"


def _without_user(place: str) -> str:
    scheme, slashes, rest = place.partition("://")
    if not slashes:
        return place
    authority, slash, path = rest.partition("/")
    _, at_sign, host = authority.rpartition("@")
    return f"{scheme}://{REDACTED}@{host}{slash}{path}" if at_sign else place
