from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from fastapi_baseline.auth.security_events import LogSecurityEvents
from fastapi_baseline.auth.users import (
    ConsoleMailSender,
    SmtpMailSender,
    UserRecord,
    UserRepository,
    UserService,
    make_mail_sender,
    make_user_service,
)
from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base, Database, UUIDPrimaryKey
from fastapi_baseline.settings import AuthSettings, MailSettings, Settings, UserSettings

USERS = UserSettings(page_url="https://x.example.com", hashing_workers=3)
SMTP = MailSettings(smtp_url=SecretStr("smtps://mail.example.com"))


class Guest(Base, UUIDPrimaryKey, UserRecord):
    __tablename__ = "users_test_guest"


class Guests(UserRepository[Guest]):
    pass


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    yield database
    await database.dispose()


def make(database: Database, users: UserSettings = USERS, **options: Any) -> UserService[Guest]:
    settings = Settings(service_name="shop", auth=AuthSettings(users=users))
    return make_user_service(
        Guest,
        settings=settings,
        database=database,
        events=LogSecurityEvents(),
        revokers=[],
        **options,
    )


def test_users_are_made_as_the_settings_say(database: Database) -> None:
    users = make(database)

    assert users.model is Guest
    assert users.services.settings == USERS
    assert users.services.letters.write("invitation", to="").subject == "You are invited to shop"


def test_a_service_may_have_a_repository_of_its_own(database: Database) -> None:
    assert make(database, repository=Guests).model is Guest


def test_it_must_be_known_what_links_begin_with(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="AUTH__USERS__PAGE_URL"):
        make(database, UserSettings())


@pytest.mark.parametrize("environment", ["development", "test"])
def test_letters_go_to_the_console_where_nobody_depends_on_them(environment: str) -> None:
    settings = Settings.model_validate({"environment": environment})

    assert isinstance(make_mail_sender(settings), ConsoleMailSender)


@pytest.mark.parametrize("environment", ["development", "production"])
def test_letters_go_to_the_server_that_is_named(environment: str) -> None:
    settings = Settings.model_validate({"environment": environment, "mail": SMTP})

    assert isinstance(make_mail_sender(settings), SmtpMailSender)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_letters_with_links_are_not_logged_where_it_matters(environment: str) -> None:
    settings = Settings.model_validate({"environment": environment})

    with pytest.raises(ConfigurationError, match="MAIL__SMTP_URL"):
        make_mail_sender(settings)
