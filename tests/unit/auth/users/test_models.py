import pytest
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.auth.users.models import OneTimeToken, UserRecord, subject_of
from fastapi_baseline.persistence import Base


class Passer(Base, UserRecord):
    __tablename__ = "users_test_passer"

    number: Mapped[int] = mapped_column(primary_key=True)


def test_who_is_not_stored_has_no_subject() -> None:
    with pytest.raises(ValueError, match="not stored"):
        subject_of(Passer(email="anna@example.com"))


def test_no_two_users_have_an_address() -> None:
    assert Passer.__table__.c.email.unique


def test_a_link_is_found_by_its_digest_and_by_its_user() -> None:
    columns = OneTimeToken.__table__.c

    assert columns.digest.primary_key
    assert columns.subject.index
