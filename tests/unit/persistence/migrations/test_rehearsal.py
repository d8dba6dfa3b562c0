import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.inspection import Finding
from fastapi_baseline.persistence.migrations.rehearsal import find_migration_faults

# Models of other tests are in this process, and some have an index that SQLite cannot compare.
pytestmark = pytest.mark.filterwarnings(
    "ignore:autogenerate skipping metadata-specified expression-based index:UserWarning"
)

ENV = """\
from fastapi_baseline import Settings
from fastapi_baseline.persistence.migrations import run_environment

run_environment(Settings)
"""
REVISION = """\
\"\"\"{name}\"\"\"

import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {after!r}


def upgrade() -> None:
    {up}


def downgrade() -> None:
    {down}
"""
MAKE_SHIPS = 'op.create_table("ships", sa.Column("id", sa.Integer(), primary_key=True))'
DROP_SHIPS = 'op.drop_table("ships")'
ADD_FLAG = 'op.add_column("ships", sa.Column("flag", sa.String(10)))'
DROP_FLAG = 'op.drop_column("ships", "flag")'


class Migrations:
    """The folder of a service that has migrations, and no models."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "alembic/versions").mkdir(parents=True)
        (root / "alembic/env.py").write_text(ENV, encoding="utf-8")
        (root / "alembic/script.py.mako").touch()

    def write(self, name: str, *, after: str | None, up: str = "pass", down: str = "pass") -> None:
        content = REVISION.format(name=name, after=after, up=up, down=down)
        (self.root / f"alembic/versions/{name}.py").write_text(content, encoding="utf-8")

    def faults(self, *, server_url: str | None = None) -> Sequence[Finding]:
        found = find_migration_faults(self.root, server_url=server_url)
        # Models of other tests are in this process.
        return [finding for finding in found if not finding.id.endswith("migration_missing")]

    def ids(self) -> list[str]:
        return [finding.id for finding in self.faults()]


@pytest.fixture
def migrations(tmp_path: Path) -> Migrations:
    return Migrations(tmp_path)


def test_finds_nothing_in_migrations_that_go_up_and_down(migrations: Migrations) -> None:
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)
    migrations.write("two", after="one", up=ADD_FLAG, down=DROP_FLAG)

    assert migrations.faults() == []


def test_finds_nothing_where_there_are_none_yet(migrations: Migrations) -> None:
    assert migrations.faults() == []


def test_finds_nothing_where_nothing_can_be_written(
    migrations: Migrations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *args: object, **options: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    (migrations.root / "alembic/versions").rmdir()
    monkeypatch.setattr(Path, "mkdir", refuse)

    assert migrations.faults() == []


def test_names_a_migration_that_cannot_be_applied(migrations: Migrations) -> None:
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)
    migrations.write("two", after="one", up=MAKE_SHIPS, down=DROP_SHIPS)

    (finding,) = migrations.faults()

    assert finding.id == "migration_failed"
    assert finding.what.startswith("The migration two (two) cannot be applied. ")
    assert "already exists" in finding.what


@pytest.mark.parametrize(
    ("down", "said"),
    [
        pytest.param("pass", "it still has column ships.flag VARCHAR(10)", id="that does nothing"),
        pytest.param('raise NotImplementedError("no way")', "no way", id="that refuses"),
        pytest.param('op.drop_column("ships", "banner")', "banner", id="that fails"),
        pytest.param(
            'op.drop_column("ships", "flag"); op.create_index("ix_extra", "ships", ["id"])',
            "it still has index ix_extra of ships (id)",
            id="that adds",
        ),
    ],
)
def test_names_a_migration_with_a_downgrade(migrations: Migrations, down: str, said: str) -> None:
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)
    migrations.write("two", after="one", up=ADD_FLAG, down=down)

    (finding,) = migrations.faults()

    assert finding.id == "migration_irreversible"
    assert "migration two (two)" in finding.what
    assert said in finding.what


def test_finds_that_a_column_comes_back_as_another(migrations: Migrations) -> None:
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)
    migrations.write("two", after="one", up=ADD_FLAG, down=DROP_FLAG)
    migrations.write(
        "three",
        after="two",
        up=DROP_FLAG,
        down=ADD_FLAG.replace("String(10)", "String(20)"),
    )

    (finding,) = migrations.faults()

    assert "migration three" in finding.what
    assert "it still has column ships.flag VARCHAR(20)" in finding.what
    assert "it lacks column ships.flag VARCHAR(10)" in finding.what


def test_finds_that_a_migration_cannot_be_applied_twice(
    migrations: Migrations, tmp_path: Path
) -> None:
    mark = tmp_path / "applied"
    migrations.write("one", after=None, up=f"open({str(mark)!r}, 'x').close()")

    (finding,) = migrations.faults()

    assert finding.id == "migration_irreversible"
    assert "cannot be applied again" in finding.what


@pytest.mark.parametrize(
    ("first", "second", "third", "said"),
    [
        pytest.param(None, "one", "one", "are the last one: three, two", id="two heads"),
        pytest.param(None, None, "one", "are the last one: three, two", id="two rows"),
    ],
)
def test_finds_migrations_that_do_not_follow_each_other(
    migrations: Migrations, first: str | None, second: str | None, third: str, said: str
) -> None:
    migrations.write("one", after=first)
    migrations.write("two", after=second)
    migrations.write("three", after=third)

    (finding,) = migrations.faults()

    assert finding.id == "migrations_not_linear"
    assert said in finding.what


def test_finds_migrations_that_were_merged(migrations: Migrations) -> None:
    migrations.write("one", after=None)
    migrations.write("two", after="one")
    migrations.write("three", after="one")
    migrations.write("four", after="two")
    path = migrations.root / "alembic/versions/four.py"
    path.write_text(path.read_text().replace("'two'", "('two', 'three')"))

    (finding,) = migrations.faults()

    assert finding.what == "Several migrations follow the same one: one."


# As it is outside of tests, where a warning is no error.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "content",
    [
        pytest.param("revision = ", id="no Python"),
        pytest.param("revision = 'two'\ndown_revision = 'lost'\n", id="one that follows nothing"),
        pytest.param("revision = 'one'\ndown_revision = None\n", id="two of one name"),
        pytest.param("raise RuntimeError('at import')\n", id="one that raises"),
    ],
)
def test_finds_that_migrations_cannot_be_read(migrations: Migrations, content: str) -> None:
    migrations.write("one", after=None)
    (migrations.root / "alembic/versions/bad.py").write_text(content, encoding="utf-8")

    (finding,) = migrations.faults()

    assert finding.id == "migration_failed"
    assert finding.what.startswith("The migrations cannot be read. ")


def test_does_not_touch_a_database_that_env_py_chooses_itself(
    migrations: Migrations, tmp_path: Path
) -> None:
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)
    own = tmp_path / "own.db"
    (migrations.root / "alembic/env.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import context\n"
        f"engine = sa.create_engine('sqlite:///{own}')\n"
        "with engine.connect() as connection:\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n"
        "engine.dispose()\n",
        encoding="utf-8",
    )

    (finding,) = migrations.faults()

    assert finding.id == "migrations_not_tried"
    assert not own.exists() or own.stat().st_size == 0


def test_does_not_touch_the_database_of_the_service(
    migrations: Migrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{own}")
    migrations.write("one", after=None, up=MAKE_SHIPS, down=DROP_SHIPS)

    assert migrations.ids() == []

    assert not own.exists()


def test_says_that_the_server_to_try_them_on_is_not_there(migrations: Migrations) -> None:
    migrations.write("one", after=None)

    with pytest.raises(ConfigurationError, match=r"TEST_DATABASE_URL, 127\.0\.0\.1:1: "):
        migrations.faults(server_url="postgresql://somebody:secret@127.0.0.1:1/postgres")
