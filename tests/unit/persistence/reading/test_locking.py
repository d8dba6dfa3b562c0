import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.persistence import Base
from fastapi_baseline.persistence.reading.locking import Lock, locked


class Vault(Base):
    __tablename__ = "locking_vault"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.mark.parametrize(
    ("lock", "clause"),
    [
        (Lock(), "FOR UPDATE OF locking_vault"),
        (Lock(nowait=True), "FOR UPDATE OF locking_vault NOWAIT"),
        (Lock(skip_locked=True), "FOR UPDATE OF locking_vault SKIP LOCKED"),
        (Lock(share=True), "FOR SHARE OF locking_vault"),
    ],
)
def test_is_a_clause_on_postgresql_and_nothing_on_sqlite(lock: Lock, clause: str) -> None:
    statement = locked(select(Vault), Vault, lock)

    on_postgresql = str(statement.compile(dialect=postgresql.asyncpg.dialect()))
    on_sqlite = str(statement.compile(dialect=sqlite.dialect()))

    assert on_postgresql.endswith(clause)
    assert "FOR" not in on_sqlite.replace("FROM", "")


def test_asks_for_the_values_that_the_rows_have_now() -> None:
    statement = locked(select(Vault), Vault, Lock())

    assert statement.get_execution_options() == {"populate_existing": True}


def test_cannot_both_fail_and_pass_over() -> None:
    with pytest.raises(ConfigurationError, match="both"):
        Lock(nowait=True, skip_locked=True)
