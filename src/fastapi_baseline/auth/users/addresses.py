"""Addresses of e-mail, in the one form in which they are stored and compared."""

from fastapi_baseline._extras import optional
from fastapi_baseline.auth.users.errors import InvalidEmailError

with optional("email_validator", extra="auth"):
    from email_validator import EmailNotValidError, validate_email

MAX_LENGTH = 254
"""How many characters an address has at most (RFC 5321, section 4.5.3.1.3, without the brackets)."""


def normalize_email(email: str) -> str:
    """Return an address in ASCII and lower case, with a domain of other letters as Punycode.

    Before the `@` only ASCII is accepted: letters that look alike, or become alike in lower case,
    would be two addresses that seem to be one. No mail server in use tells cases apart.

    Raises:
        InvalidEmailError: If it is no address.
    """
    if len(email) > MAX_LENGTH:
        raise InvalidEmailError
    try:
        # A name of the domain `.test` (RFC 6761) is harmless, and tests need some.
        valid = validate_email(
            email,
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,
            test_environment=True,
        )
    except EmailNotValidError as error:
        raise InvalidEmailError from error
    return f"{valid.local_part}@{valid.ascii_domain}".lower()


def find_normalized(email: str) -> str | None:
    """Return what `normalize_email` does, or `None` if it is no address."""
    try:
        return normalize_email(email)
    except InvalidEmailError:
        return None
