import asyncio
import importlib
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from fastapi_baseline.errors import ConfigurationError
from fastapi_baseline.observability.logging.output import LineOutput
from fastapi_baseline.persistence import Base, Database, DatabaseUnavailableError, LockTimeoutError
from fastapi_baseline.persistence.migrations import (
    MigrationError,
    MultipleHeadsError,
    NoChangesError,
    NotUpToDateError,
    UnknownRevisionError,
    commands,
)

_MAKO = Path(__file__).parents[3] / "template" / "{% if has_database %}alembic{% endif %}"

_MODELS = """
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from fastapi_baseline.persistence import Base, Timestamps, UUIDPrimaryKey
from sqlalchemy.orm import Mapped, mapped_column


class Ship(Base, UUIDPrimaryKey, Timestamps):
    __tablename__ = "{prefix}_ship"
    name: Mapped[str] = mapped_column(sa.String(30), unique=True)
    flag: Mapped[str | None] = mapped_column(index=True)
    tons: Mapped[int] = mapped_column(server_default=sa.text("0"))
    is_afloat: Mapped[bool] = mapped_column(server_default=sa.true())
    motto: Mapped[str] = mapped_column(server_default="it's afloat")
    value: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2), server_default=sa.text("1.5"))
    papers: Mapped[dict[str, str]] = mapped_column(sa.JSON, default=dict)
    built_at: Mapped[datetime] = mapped_column(server_default=sa.func.now())
    __table_args__ = (
        sa.CheckConstraint("value >= 0", name="not_negative"),
        sa.UniqueConstraint("flag", "motto"),
    )


class Sailor(Base, UUIDPrimaryKey):
    __tablename__ = "{prefix}_sailor"
    ship_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("{prefix}_ship.id", ondelete="CASCADE")
    )
"""


class Service:
    """A service in a folder, as migrations see it."""

    def __init__(self, root: Path, package: str) -> None:
        self.root = root
        self.package = package
        self.models = root / package / "domains" / "fleet" / "models.py"

    @property
    def versions(self) -> list[Path]:
        return sorted((self.root / "alembic" / "versions").glob("*.py"))

    def write(self, path: str, content: str = "") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def replace_in_models(self, old: str, new: str) -> None:
        source = self.models.read_text()
        assert old in source
        self.models.write_text(source.replace(old, new))

    def start(self, *calls: str) -> subprocess.Popen[str]:
        """Call commands in a process of its own, which imports the models as they are now."""
        program = (
            "from pathlib import Path\n"
            "from fastapi_baseline.errors import BaselineError\n"
            "from fastapi_baseline.persistence.migrations import commands\n"
            f"root = Path({str(self.root)!r})\n"
        ) + "".join(
            f"try:\n    print({call})\n"
            "except BaselineError as error:\n    print(type(error).__name__, error)\n"
            for call in calls
        )
        return subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=self.root
        )

    def run(self, *calls: str) -> list[str]:
        """Return the line that each of the calls ends with."""
        return self.start(*calls).communicate(timeout=60)[0].splitlines()

    def forget(self) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == self.package]:
            del sys.modules[name]
        for table in list(Base.metadata.tables.values()):
            if table.name.startswith(self.package):
                Base.metadata.remove(table)


@pytest.fixture
def service(
    tmp_path: Path,
    any_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Generator[Service]:
    package = f"fleet_{abs(hash(request.node.name))}"
    service = Service(tmp_path / "a service 100%", package)
    service.write("pyproject.toml", f'[tool.baseline]\npackage = "{package}"\n')
    service.write(f"{package}/__init__.py")
    service.write(
        f"{package}/settings.py",
        "from fastapi_baseline.settings import Settings as BaselineSettings\n\n\n"
        "class Settings(BaselineSettings):\n    pass\n",
    )
    service.write(f"{package}/domains/__init__.py")
    service.write(f"{package}/domains/fleet/__init__.py")
    service.write(f"{package}/domains/fleet/models.py", _MODELS.format(prefix=package))
    service.write(
        "alembic/env.py",
        "from fastapi_baseline.persistence.migrations import run_environment\n\n"
        f"from {package}.settings import Settings\n\nrun_environment(Settings)\n",
    )
    service.write("alembic/script.py.mako", (_MAKO / "script.py.mako").read_text())
    monkeypatch.setenv("DATABASE_URL", any_database_url)
    monkeypatch.setattr(sys, "path", [str(service.root), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    importlib.invalidate_caches()
    monkeypatch.chdir(tmp_path)
    # Only this service's models are compared.
    others = {name: Base.metadata.tables[name] for name in Base.metadata.tables}
    for table in others.values():
        Base.metadata.remove(table)
    yield service
    service.forget()
    for table in others.values():
        Base.metadata._add_table(table.name, table.schema, table)  # pyright: ignore[reportPrivateUsage]


async def _tables(url: str) -> set[str]:
    database = Database(url)
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await database.dispose()
    return set(names)


async def _execute(url: str, *statements: str) -> list[object]:
    database = Database(url)
    async with database.engine.begin() as connection:
        results = [await connection.execute(text(statement)) for statement in statements]
        rows = [list(row) for row in results[-1]] if results[-1].returns_rows else []
    await database.dispose()
    return [*rows]


def test_writes_applies_and_takes_back_a_migration(service: Service, any_database_url: str) -> None:
    written = commands.revision(service.root, "create the fleet")
    with pytest.raises(NotUpToDateError):
        commands.check(service.root)
    applied = commands.upgrade(service.root)
    state = commands.current(service.root)
    commands.check(service.root)

    assert applied == (written,)
    assert service.versions == [written.path]
    assert written.path.name.endswith("_create_the_fleet.py")
    assert (state.current, state.is_up_to_date) == ((written,), True)
    assert commands.upgrade(service.root) == ()
    names = asyncio.run(_tables(any_database_url))
    assert names == {f"{service.package}_ship", f"{service.package}_sailor", "alembic_version"}

    assert commands.downgrade(service.root, "-1") == (written,)
    assert commands.current(service.root).current == ()
    assert asyncio.run(_tables(any_database_url)) == {"alembic_version"}


def test_a_migration_names_plain_types_and_is_formatted(service: Service) -> None:
    written = commands.revision(service.root, 'create "the" fleet\\ships')

    source = written.path.read_text()
    assert "sa.DateTime(timezone=True)" in source
    assert "UTCDateTime" not in source
    assert "fastapi_baseline" not in source
    compile(source, "revision", "exec")
    for arguments in (["check", "--select", "E,F,I,UP,W"], ["format", "--check", "--diff"]):
        ruff = subprocess.run(
            [sys.executable, "-m", "ruff", *arguments, str(written.path)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert ruff.returncode == 0, ruff.stdout


def test_writes_nothing_if_nothing_has_changed(service: Service) -> None:
    commands.revision(service.root, "create")
    commands.upgrade(service.root)

    with pytest.raises(NoChangesError):
        commands.revision(service.root, "again")

    assert len(service.versions) == 1


def test_writes_an_empty_migration_when_asked_to(service: Service) -> None:
    written = commands.revision(service.root, "by hand", autogenerate=False)

    assert "pass" in written.path.read_text()


def test_does_not_write_a_migration_while_one_is_not_applied(service: Service) -> None:
    commands.revision(service.root, "create")

    with pytest.raises(NotUpToDateError):
        commands.revision(service.root, "more")


def test_migrates_a_changed_model_and_keeps_its_rows(
    service: Service, any_database_url: str
) -> None:
    ship, sailor = f"{service.package}_ship", f"{service.package}_sailor"
    key = "'" + "1" * 32 + "'"
    commands.revision(service.root, "create")
    commands.upgrade(service.root)
    asyncio.run(
        _execute(
            any_database_url,
            f"INSERT INTO {ship} (id, name, papers, created_at, updated_at) "  # noqa: S608
            f"VALUES ({key}, 'Pequod', '{{}}', '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
            f"INSERT INTO {sailor} (id, ship_id) VALUES ({key}, {key})",  # noqa: S608
        )
    )
    service.replace_in_models("sa.String(30), unique=True", "sa.String(60), unique=True")
    service.replace_in_models("tons: Mapped[int] =", "mass: Mapped[int | None] =")

    differences, _, applied, agreement = service.run(
        "commands.check(root)",
        "commands.revision(root, 'rename and widen').message",
        "len(commands.upgrade(root))",
        "commands.check(root)",
    )

    assert differences.startswith("ModelsDifferError")
    assert "add column" in differences
    assert (applied, agreement) == ("1", "None")
    assert asyncio.run(_execute(any_database_url, f"SELECT name, mass FROM {ship}")) == [  # noqa: S608
        ["Pequod", 0]
    ]
    assert asyncio.run(_execute(any_database_url, f"SELECT count(*) FROM {sailor}")) == [[1]]  # noqa: S608


def test_a_migration_that_fails_leaves_nothing_behind(
    service: Service, any_database_url: str
) -> None:
    written = commands.revision(service.root, "create")
    broken = written.path.read_text().replace(
        "def downgrade", '    op.execute("INSERT INTO nowhere VALUES (1)")\n\n\ndef downgrade'
    )
    written.path.write_text(broken)

    with pytest.raises(MigrationError, match="nowhere"):
        commands.upgrade(service.root)

    assert asyncio.run(_tables(any_database_url)) <= {"alembic_version"}
    assert commands.current(service.root).current == ()


async def test_runs_while_an_event_loop_is_running(service: Service) -> None:
    commands.revision(service.root, "create")

    assert len(commands.upgrade(service.root)) == 1


def test_leaves_tables_alone_that_are_not_the_services(
    service: Service, any_database_url: str
) -> None:
    asyncio.run(_execute(any_database_url, "CREATE TABLE spatial_ref_sys (id INTEGER)"))
    written = commands.revision(service.root, "create")
    commands.upgrade(service.root)

    commands.check(service.root)

    assert "spatial_ref_sys" not in written.path.read_text()


def test_leaves_a_table_alone_whose_model_says_so(service: Service, any_database_url: str) -> None:
    unique = 'sa.UniqueConstraint("flag", "motto"),\n'
    service.replace_in_models(unique, f'{unique}        {{"info": {{"is_migrated": False}}}},\n')
    table = f"{service.package}_ship"
    asyncio.run(_execute(any_database_url, f"CREATE TABLE {table} (id UUID PRIMARY KEY)"))
    written = commands.revision(service.root, "create")
    commands.upgrade(service.root)

    commands.check(service.root)

    made = written.path.read_text().partition("def downgrade")[0]
    assert made.count("op.create_table(") == 1
    assert "_sailor" in made
    assert "batch_alter_table" not in made


def test_leaves_logging_alone(service: Service) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:], logging.getLogger("alembic").handlers[:])

    commands.revision(service.root, "create")
    commands.upgrade(service.root)

    assert (root.level, root.handlers, logging.getLogger("alembic").handlers) == before
    assert not logging.getLogger("fastapi_baseline").disabled


@pytest.fixture
def silent_process() -> Generator[None]:
    """Take off the output that an application of another test has given to this process."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    root.handlers[:] = [handler for handler in handlers if not isinstance(handler, LineOutput)]
    yield
    root.handlers[:] = handlers


@pytest.mark.usefixtures("silent_process")
def test_prints_nothing(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    commands.revision(service.root, "create")
    commands.upgrade(service.root)
    commands.check(service.root)
    commands.current(service.root)

    assert capsys.readouterr().out == ""


def test_names_two_migrations_that_follow_the_same(service: Service) -> None:
    first = commands.revision(service.root, "create")
    commands.upgrade(service.root)
    second = commands.revision(service.root, "second", autogenerate=False)
    twin = second.path.with_name("twin.py")
    twin.write_text(second.path.read_text().replace(second.revision, "abcabcabcabc"))

    for call in (commands.upgrade, commands.check):
        with pytest.raises((MultipleHeadsError, NotUpToDateError)):
            call(service.root)
    with pytest.raises(MultipleHeadsError, match="abcabcabcabc"):
        commands.upgrade(service.root)
    with pytest.raises(MultipleHeadsError):
        commands.revision(service.root, "third", autogenerate=False)

    assert commands.current(service.root).current == (first,)


def test_names_a_migration_that_does_not_exist(service: Service) -> None:
    commands.revision(service.root, "create")

    with pytest.raises(UnknownRevisionError, match="nonsense"):
        commands.upgrade(service.root, "nonsense")
    with pytest.raises(UnknownRevisionError, match="nonsense"):
        commands.downgrade(service.root, "nonsense")
    with pytest.raises(MigrationError):
        commands.downgrade(service.root, "-5")


def test_says_that_the_database_has_a_migration_that_is_not_here(service: Service) -> None:
    written = commands.revision(service.root, "create")
    commands.upgrade(service.root)
    written.path.unlink()

    for call in (commands.current, commands.check, commands.upgrade):
        with pytest.raises(UnknownRevisionError, match=written.revision):
            call(service.root)


# No database is asked.
@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
def test_needs_a_message(service: Service) -> None:
    with pytest.raises(MigrationError, match="message"):
        commands.revision(service.root, "  ")


# No database is asked.
@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
def test_needs_a_database(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for url in ("", "sqlite://"):
        monkeypatch.setenv("DATABASE_URL", url)
        with pytest.raises(ConfigurationError):
            commands.upgrade(service.root)


def test_needs_a_service(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"env\.py is missing"):
        commands.upgrade(tmp_path)


# No database is asked.
@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
def test_says_that_the_database_cannot_be_reached(
    service: Service, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://user:pw@127.0.0.1:{unused_tcp_port}/name")

    with pytest.raises(DatabaseUnavailableError):
        commands.upgrade(service.root)


# On SQLite the only lock is the database, and a migration waits for that as for its turn.
@pytest.mark.parametrize("any_database_url", ["asyncpg", "psycopg"], indirect=True)
def test_says_that_a_table_stays_locked(
    service: Service, any_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE__LOCK_TIMEOUT", "0.1")
    ship = f"{service.package}_ship"
    commands.revision(service.root, "create")
    commands.upgrade(service.root)

    async def downgrade_while_in_use() -> None:
        database = Database(any_database_url)
        async with database.transaction() as session:
            await session.execute(text(f"LOCK TABLE {ship} IN ACCESS SHARE MODE"))
            with pytest.raises(LockTimeoutError):
                await asyncio.to_thread(commands.downgrade, service.root, "base")
        await database.dispose()

    asyncio.run(downgrade_while_in_use())

    assert commands.current(service.root).is_up_to_date


def test_two_migrators_take_turns(service: Service) -> None:
    commands.revision(service.root, "create")
    migrators = [service.start("len(commands.upgrade(root))") for _ in range(2)]
    outputs = [migrator.communicate(timeout=60)[0].strip() for migrator in migrators]

    assert [migrator.returncode for migrator in migrators] == [0, 0]
    assert sorted(outputs) == ["0", "1"]


# PostgreSQL never switches its keys off.
@pytest.mark.parametrize("any_database_url", ["sqlite"], indirect=True)
def test_notices_rows_that_a_migration_left_without_what_they_refer_to(
    service: Service, any_database_url: str
) -> None:
    commands.revision(service.root, "create")
    commands.upgrade(service.root)
    sailor = f"{service.package}_sailor"
    written = commands.revision(service.root, "orphan", autogenerate=False)
    insert = f"INSERT INTO {sailor} (id, ship_id) VALUES ('1', '2')"  # noqa: S608
    written.path.write_text(
        written.path.read_text().replace("    pass\n", f'    op.execute("{insert}")\n', 1)
    )

    with pytest.raises(MigrationError, match=sailor):
        commands.upgrade(service.root)

    path = any_database_url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    assert connection.execute(f"SELECT count(*) FROM {sailor}").fetchone() == (0,)  # noqa: S608
    connection.close()
