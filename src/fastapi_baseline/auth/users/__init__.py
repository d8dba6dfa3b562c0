"""Users whom the service knows itself: they register, sign in, and change what is theirs.

    class User(Base, UUIDPrimaryKey, Timestamps, UserRecord):
        display_name: Mapped[str] = mapped_column(default="")

A `UserService` does everything that can be done with them; `make_user_service` puts one together.
"""

import importlib
from typing import TYPE_CHECKING  # noqa: TID251 -- for the names that are exported lazily

from fastapi_baseline._exports import export_lazily
from fastapi_baseline._extras import optional

with optional("sqlalchemy", extra="persistence"):
    importlib.import_module("sqlalchemy")

if TYPE_CHECKING:
    from fastapi_baseline.auth.users.accounts import UserServices
    from fastapi_baseline.auth.users.addresses import normalize_email
    from fastapi_baseline.auth.users.errors import (
        EmailTakenError,
        HashingBusyError,
        InvalidCredentialsError,
        InvalidEmailError,
        InvalidLinkError,
        MailNotSentError,
        PasswordNotAcceptedError,
        RegistrationClosedError,
    )
    from fastapi_baseline.auth.users.hashing import Argon2Cost, PasswordHasher
    from fastapi_baseline.auth.users.letters import LetterTemplate, LetterWriter, TemplateLetters
    from fastapi_baseline.auth.users.mail import ConsoleMailSender, Letter, MailSender
    from fastapi_baseline.auth.users.models import OneTimeToken, UserRecord, subject_of
    from fastapi_baseline.auth.users.outbox import Outbox
    from fastapi_baseline.auth.users.passwords import PasswordPolicy
    from fastapi_baseline.auth.users.repository import UserRepository
    from fastapi_baseline.auth.users.routes import make_users_router
    from fastapi_baseline.auth.users.schemas import Registration, UserRead
    from fastapi_baseline.auth.users.self_service import SelfService
    from fastapi_baseline.auth.users.service import UserService, make_mail_sender, make_user_service
    from fastapi_baseline.auth.users.sign_in_pages import make_sign_in_pages_router
    from fastapi_baseline.auth.users.smtp import SmtpMailSender, SmtpServer
    from fastapi_baseline.auth.users.trust import SecondFactors, SessionRevoker

__all__ = [
    "Argon2Cost",
    "ConsoleMailSender",
    "EmailTakenError",
    "HashingBusyError",
    "InvalidCredentialsError",
    "InvalidEmailError",
    "InvalidLinkError",
    "Letter",
    "LetterTemplate",
    "LetterWriter",
    "MailNotSentError",
    "MailSender",
    "OneTimeToken",
    "Outbox",
    "PasswordHasher",
    "PasswordNotAcceptedError",
    "PasswordPolicy",
    "Registration",
    "RegistrationClosedError",
    "SecondFactors",
    "SelfService",
    "SessionRevoker",
    "SmtpMailSender",
    "SmtpServer",
    "TemplateLetters",
    "UserRead",
    "UserRecord",
    "UserRepository",
    "UserService",
    "UserServices",
    "make_mail_sender",
    "make_sign_in_pages_router",
    "make_user_service",
    "make_users_router",
    "normalize_email",
    "subject_of",
]

_HOMES = {
    "Argon2Cost": "hashing",
    "ConsoleMailSender": "mail",
    "EmailTakenError": "errors",
    "HashingBusyError": "errors",
    "InvalidCredentialsError": "errors",
    "InvalidEmailError": "errors",
    "InvalidLinkError": "errors",
    "Letter": "mail",
    "LetterTemplate": "letters",
    "LetterWriter": "letters",
    "MailNotSentError": "errors",
    "MailSender": "mail",
    "OneTimeToken": "models",
    "Outbox": "outbox",
    "PasswordHasher": "hashing",
    "PasswordNotAcceptedError": "errors",
    "PasswordPolicy": "passwords",
    "Registration": "schemas",
    "RegistrationClosedError": "errors",
    "SecondFactors": "trust",
    "SelfService": "self_service",
    "SessionRevoker": "trust",
    "SmtpMailSender": "smtp",
    "SmtpServer": "smtp",
    "TemplateLetters": "letters",
    "UserRead": "schemas",
    "UserRecord": "models",
    "UserRepository": "repository",
    "UserService": "service",
    "UserServices": "accounts",
    "make_mail_sender": "service",
    "make_sign_in_pages_router": "sign_in_pages",
    "make_user_service": "service",
    "make_users_router": "routes",
    "normalize_email": "addresses",
    "subject_of": "models",
}

__getattr__, __dir__ = export_lazily(__name__, _HOMES)
