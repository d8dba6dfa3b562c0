"""Everything that can be done with users."""

from collections.abc import Sequence

from fastapi_baseline.auth.security_events import SecurityEvents
from fastapi_baseline.auth.users.accounts import UserServices, UserT
from fastapi_baseline.auth.users.administration import Administration
from fastapi_baseline.auth.users.hashing import PasswordHasher
from fastapi_baseline.auth.users.letters import LetterWriter, TemplateLetters
from fastapi_baseline.auth.users.mail import ConsoleMailSender, MailSender
from fastapi_baseline.auth.users.outbox import Outbox
from fastapi_baseline.auth.users.password_changes import PasswordChanges
from fastapi_baseline.auth.users.passwords import PasswordPolicy
from fastapi_baseline.auth.users.registration import Registering
from fastapi_baseline.auth.users.repository import UserRepository, repository_of
from fastapi_baseline.auth.users.smtp import SmtpMailSender, SmtpServer
from fastapi_baseline.auth.users.trust import NoSecondFactors, SecondFactors, SessionRevoker
from fastapi_baseline.clock import Clock, SystemClock
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Database
from fastapi_baseline.settings import Settings

__all__ = ["UserService", "UserServices", "UserT", "make_mail_sender", "make_user_service"]


class UserService(Registering[UserT], PasswordChanges[UserT], Administration[UserT]):
    """The users of a service, who sign in with an address of e-mail and a password.

    Each method has transactions of its own, so no route that calls one may be in a `Transaction`:
    on SQLite they would wait for each other. What a refusal must leave behind, such as a failure
    that is counted, is committed so. A subject is `subject_of(user)`, the primary key as text.
    Every event goes to `SecurityEvents`, and letters go out after the answer.
    """


def make_user_service(
    model: type[UserT],
    *,
    settings: Settings,
    database: Database,
    events: SecurityEvents,
    revokers: Sequence[SessionRevoker],
    second_factors: SecondFactors | None = None,
    repository: type[UserRepository[UserT]] | None = None,
    mail: MailSender | None = None,
    letters: LetterWriter | None = None,
    hasher: PasswordHasher | None = None,
    clock: Clock | None = None,
) -> UserService[UserT]:
    """Return the users of a model, as the settings say; its outbox has a `lifespan` to run.

    `revokers` are what lets users in without a password: sessions and API keys.

    Raises:
        ConfigurationError: If it is not known what links begin with, or, in staging or production,
            who sends letters.
    """
    clock = clock or SystemClock()
    users = settings.auth.users
    services = UserServices(
        database=database,
        events=events,
        hasher=hasher or PasswordHasher(workers=users.hashing_workers),
        letters=letters or TemplateLetters(settings.service_name),
        outbox=Outbox(mail or make_mail_sender(settings, clock=clock)),
        policy=PasswordPolicy(settings=users, context=(settings.service_name,)),
        settings=users,
        second_factors=second_factors or NoSecondFactors(),
        revokers=revokers,
        clock=clock,
    )
    return UserService(repository or repository_of(model), services)


def make_mail_sender(settings: Settings, *, clock: Clock | None = None) -> MailSender:
    """Return what sends letters, as the settings say.

    Raises:
        ConfigurationError: If they name no server in staging or production: letters in a log would
            let whoever reads it into all accounts.
    """
    mail = settings.mail
    if mail.smtp_url is not None:
        server = SmtpServer.from_url(mail.smtp_url.get_secret_value())
        return SmtpMailSender(server, sender=mail.sender, clock=clock)
    if settings.environment in {"staging", "production"}:
        raise ConfigurationError("Set MAIL__SMTP_URL: links in letters must not be in logs.")
    return ConsoleMailSender()
