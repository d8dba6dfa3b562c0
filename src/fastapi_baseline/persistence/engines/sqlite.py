"""How connections to SQLite are opened, so that its transactions behave like a server's.

The standard library begins transactions late and by itself, which loses updates. So its part is
switched off, and a transaction that writes begins with `BEGIN IMMEDIATE`: whoever reads in order
to write holds the lock from the start.
"""

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4
from weakref import WeakSet

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor

from fastapi_baseline.persistence.engines.url import is_memory

_WAL_ATTEMPTS = 20

READ_ONLY_OPTION = "fastapi_baseline_read_only"
"""The execution option of an engine whose transactions only read."""


class PromptConnection(sqlite3.Connection):
    """A connection that lets go of its locks when it is closed.

    SQLite keeps a closed connection alive as long as a cursor of it is open, and that of a
    cancelled request stays open until the garbage collector comes by. Until then nobody else
    could write.
    """

    _has_been_used = False

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._cursors = WeakSet[sqlite3.Cursor]()

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        """Return a new cursor, and remember it."""
        self._has_been_used = True
        cursor: sqlite3.Cursor = super().cursor(factory)
        self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Close all cursors, give up what is not committed, and close the connection."""
        for cursor in tuple(self._cursors):
            cursor.close()
        super().close()

    def __del__(self) -> None:
        """Close what nobody has closed, with a warning where the standard library warns of it.

        It does from Python 3.13 on. One that nobody has used is closed without a word: aiosqlite
        drops what it has opened if whoever waited for that was cancelled.
        """
        finalize = getattr(super(), "__del__", None)
        if not self._has_been_used:
            super().close()
        elif finalize is not None:
            finalize()


def missing_folder(url: URL) -> Path | None:
    """Return the folder that the database file should be in, if it does not exist."""
    if is_memory(url) or (url.database or "").startswith("file:"):
        return None
    folder = Path(url.database or "").absolute().parent
    return None if folder.is_dir() else folder


def listen_to_file(engine: Engine, *, read_only: bool) -> None:
    """Give each connection of an engine on a file its settings and its kind of transaction."""

    def set_up(connection: DBAPIConnection, record: object) -> None:
        del record
        cursor = connection.cursor()
        try:
            _switch_to_wal(cursor)
            cursor.execute("PRAGMA synchronous = NORMAL")
            cursor.execute("PRAGMA foreign_keys = ON")
            if read_only:
                cursor.execute("PRAGMA query_only = ON")
        finally:
            cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)


def _switch_to_wal(cursor: DBAPICursor) -> None:
    """Let readers and the writer of a file work side by side; it is a property of the file.

    Setting it takes a lock that SQLite does not wait for, so connections that open a new file at
    the same moment would fail. A transaction waits for that lock, and whoever had it has mostly
    done what was to be done.
    """
    for _ in range(_WAL_ATTEMPTS):
        cursor.execute("PRAGMA journal_mode")
        mode: Any = cursor.fetchone()
        if mode[0] == "wal":
            return
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("COMMIT")
        else:
            return
    cursor.execute("PRAGMA journal_mode = WAL")


def listen_for_migrations(engine: Engine, *, is_writing: bool) -> None:
    """Let tables be rebuilt: `DROP TABLE` would delete what refers to the rows of the table.

    Foreign keys can be switched off only outside of a transaction.
    """

    def set_up(connection: DBAPIConnection, record: object) -> None:
        del record
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = OFF")
        cursor.close()

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    event.listen(engine, "connect", set_up)
    event.listen(engine, "begin", begin)


class MemoryAnchor:
    """Keeps a database in memory while no other connection does.

    A connection that is in use when its request is cancelled must be closed, and an SQLite
    database in memory is gone with its last connection.
    """

    def __init__(self) -> None:
        """Name a database that no other anchor has."""
        self._file = f"file:/{quote(f'baseline-{uuid4().hex}')}"
        self._connection: sqlite3.Connection | None = None

    def url(self, url: URL) -> URL:
        """Return a URL for the database of this anchor."""
        return url.set(database=self._file, query={"vfs": "memdb", "uri": "true"})

    def listen(self, engine: Engine) -> None:
        """Hold the database from the first connection of the engine, until `close`."""

        def set_up(connection: DBAPIConnection, record: object) -> None:
            del record
            if self._connection is None:
                self._connection = sqlite3.connect(f"{self._file}?vfs=memdb", uri=True)
            cursor = connection.cursor()
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.close()

        def begin(connection: Connection) -> None:
            # One connection serves both kinds of transaction.
            read_only = connection.get_execution_options().get(READ_ONLY_OPTION, False)
            connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
            connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

        event.listen(engine, "connect", set_up)
        event.listen(engine, "begin", begin)

    def close(self) -> None:
        """Let go of the database, and of what is in it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
