"""Which passwords are accepted: NIST SP 800-63B-4, section 3.1.1.2."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastapi_baseline.auth.users.blocklist import is_common
from fastapi_baseline.auth.users.errors import PasswordNotAcceptedError
from fastapi_baseline.settings import UserSettings

MAX_LENGTH = 1024
"""How many characters of a password are looked at, at all."""


@dataclass(frozen=True, slots=True)
class AcceptedPassword:
    """A password as it is hashed, and whether it is good enough only with a second factor."""

    text: str = field(repr=False)
    is_short: bool = False


def normalize_password(password: str) -> str | None:
    """Return a password as it is hashed, in the form NFKC; `None` if it cannot be one.

    Whatever keyboard it is typed on, it is the same then. Nothing is cut off: one that is too long
    is none.
    """
    if len(password) > MAX_LENGTH:
        return None
    normalized = unicodedata.normalize("NFKC", password)
    if len(normalized) > MAX_LENGTH:
        return None  # One character may become eighteen.
    # Lone surrogates: JSON can have them, and UTF-8 cannot.
    return (
        None if any("\ud800" <= character <= "\udfff" for character in normalized) else normalized
    )


class PasswordPolicy:
    """Says which new passwords are accepted: long ones that are not common, of whatever characters."""

    def __init__(
        self, *, settings: UserSettings | None = None, context: Iterable[str] = ()
    ) -> None:
        """Refuse words of the `context` too, such as the name of the service."""
        settings = settings or UserSettings()
        self._min_length = settings.password_min_length
        self._min_length_with_second_factor = settings.password_min_length_with_second_factor
        self._context = tuple(context)

    def accept(
        self,
        password: str,
        *,
        email: str | None = None,
        has_second_factor: bool = False,
        name: str = "password",
    ) -> AcceptedPassword:
        """Return a new password as it is hashed.

        Raises:
            PasswordNotAcceptedError: If it breaks a rule; the error says so of the field `name`.
        """
        normalized = normalize_password(password)
        if normalized is None:
            detail = f"It must be text of at most {MAX_LENGTH} characters."
            raise PasswordNotAcceptedError([("password_not_text", detail)], name=name)
        required = self._min_length_with_second_factor if has_second_factor else self._min_length
        reasons: list[tuple[str, str]] = []
        if len(normalized) < required:
            detail = f"It must have at least {required} characters; several words are good."
            reasons.append(("password_too_short", detail))
        context = self._context if email is None else (*self._context, *email.split("@"))
        if is_common(normalized, context=context):
            detail = "It is one of those that are guessed first."
            reasons.append(("password_too_common", detail))
        if reasons:
            raise PasswordNotAcceptedError(reasons, name=name)
        return AcceptedPassword(normalized, is_short=len(normalized) < self._min_length)
