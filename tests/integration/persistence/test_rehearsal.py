from pathlib import Path

from sqlalchemy import create_engine, text

from fastapi_baseline.persistence.migrations.rehearsal import find_migration_faults

ENV = """\
from fastapi_baseline import Settings
from fastapi_baseline.persistence.migrations import run_environment

run_environment(Settings)
"""
REVISION = """\
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "one"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "rehearsed_ships",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("state", sa.Enum("afloat", "sunk", name="rehearsed_state")),
        sa.Column("flags", postgresql.ARRAY(sa.Text())),
    )


def downgrade() -> None:
    op.drop_table("rehearsed_ships")
{more}"""


def faults_of(root: Path, server_url: str, *, more: str = "") -> list[str]:
    versions = root / "alembic/versions"
    versions.mkdir(parents=True, exist_ok=True)
    (root / "alembic/env.py").write_text(ENV, encoding="utf-8")
    (root / "alembic/script.py.mako").touch()
    (versions / "one.py").write_text(REVISION.format(more=more), encoding="utf-8")
    found = find_migration_faults(root, server_url=server_url)
    # Models of other tests are in this process.
    return [item.what for item in found if not item.id.endswith("migration_missing")]


def test_finds_a_type_that_postgresql_keeps(tmp_path: Path, postgres_url: str) -> None:
    (fault,) = faults_of(tmp_path, postgres_url)

    assert fault == (
        "The migration one, taken back, leaves another database than it was applied to: "
        "it still has type rehearsed_state (afloat, sunk)."
    )


def test_tries_migrations_in_a_database_of_their_own(tmp_path: Path, postgres_url: str) -> None:
    more = '    op.execute("DROP TYPE rehearsed_state")\n'

    assert faults_of(tmp_path, postgres_url, more=more) == []

    engine = create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        names = connection.execute(text("SELECT datname FROM pg_database")).scalars().all()
        tables = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        )
        assert tables.all() == []
    engine.dispose()
    assert not [name for name in names if name.startswith("rehearsal_")]
