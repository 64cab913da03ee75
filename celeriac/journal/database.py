"""The connection to the journal's database: SQLite (WAL) or PostgreSQL, brought to the right schema."""

from __future__ import annotations

import fcntl
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from celeriac.document.values import dumps, loads
from celeriac.errors import JournalUnavailable, SettingsError

#: The newest revision under migrations/versions.
HEAD = "0005"


class now(FunctionElement[float]):
    """The database's clock: seconds since the epoch."""

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now)
def _now_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    return "EXTRACT(EPOCH FROM clock_timestamp())"


class Database:
    """One pool of connections. Opened on first use, so that a fork can have its own."""

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        self.url = url
        self._timeout = timeout
        self._engine: Engine | None = None
        self._pid = 0
        self._opening = threading.Lock()
        self._writer = threading.Lock()

    @property
    def sqlite(self) -> bool:
        """Whether it is SQLite: one writer at a time."""
        return self.url.startswith("sqlite")

    @property
    def engine(self) -> Engine:
        """The engine of this process; a forked child makes its own."""
        if self._engine is None or self._pid != os.getpid():
            with self._opening:
                self._open()
        assert self._engine is not None
        return self._engine

    def _open(self) -> None:
        if self._engine is not None and self._pid == os.getpid():
            return
        if self._engine is not None:
            self._engine.dispose(close=False)
            self._writer = threading.Lock()
        engine = self._make()
        self._migrate(engine)
        self._engine, self._pid = engine, os.getpid()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction that writes; commits at the end, rolls back on an error.

        Raises :class:`~celeriac.errors.JournalUnavailable` when the database can't be reached.
        """
        engine = self.engine
        # SQLite has one writer: threads of this process queue here, where waking costs nothing,
        # rather than in SQLite's busy handler, which sleeps
        with (
            self._writer if self.sqlite else nullcontext(),
            self._named_errors(),
            engine.begin() as connection,
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One transaction that only reads; on SQLite it never waits for a writer."""
        engine = self.engine
        with self._named_errors(), engine.connect() as connection:
            with connection.execution_options(celeriac_read=True).begin():
                yield connection

    def flush(self) -> None:
        """Have what was committed outlive a power cut.

        PostgreSQL sees to that at each commit. SQLite's WAL does not, as commits would then wait for the
        disk one by one: what is lost in a power cut there is done again, but a submit that returned is not.
        """
        database = make_url(self.url).database if self.sqlite else None
        if not database or database == ":memory:":
            return
        for path in (f"{database}-wal", database, os.path.dirname(os.path.abspath(database))):
            with suppress(FileNotFoundError):
                file = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(file)
                finally:
                    os.close(file)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                raise self._unavailable(error) from error
            raise

    def close(self) -> None:
        """Close the connections."""
        if self._engine is not None and self._pid == os.getpid():
            self._engine.dispose()
        self._engine = None

    def _make(self) -> Engine:
        try:
            url = make_url(self.url)
            if url.get_backend_name() == "sqlite":
                from celeriac.journal import sqlite

                return sqlite.make(url, json_serializer=dumps, json_deserializer=loads)
            if url.drivername in ("postgresql", "postgres"):
                url = url.set(drivername="postgresql+psycopg")
            arguments = {"connect_timeout": max(1, int(self._timeout))}
            return create_engine(
                url,
                pool_pre_ping=True,
                pool_size=10,
                max_overflow=20,
                connect_args=arguments,
                json_serializer=dumps,
                json_deserializer=loads,
            )
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SettingsError(
                f"CELERIAC_JOURNAL_URL is {hide(self.url)!r}, which is no database URL: {error}",
                hint="for example sqlite:////var/lib/celeriac/journal.db or postgresql://user@host/celeriac",
            ) from error

    def _migrate(self, engine: Engine) -> None:
        try:
            # the very first connection turns a new file to WAL, and SQLite gives up at once, whatever its
            # timeout, where another process does the same or already writes
            with self._first():
                self._to_head(engine)
        except (OSError, OperationalError, DBAPIError) as error:
            raise self._unavailable(error) from error

    @contextmanager
    def _first(self) -> Iterator[None]:
        """Hold off other processes that open the same file."""
        path = make_url(self.url).database if self.sqlite else None
        if not path or path == ":memory:":
            yield
            return
        with open(f"{path}.lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # a child that was forked meanwhile has the file open, too

    def _to_head(self, engine: Engine) -> None:
        with engine.connect() as connection:
            found = _revision(connection)
        if found == HEAD:
            return
        if found is not None and found > HEAD:
            raise JournalUnavailable(
                f"the journal {hide(self.url)} has schema {found}, but this Celeriac knows none newer than {HEAD}",
                hint="a newer Celeriac has used it: update this one, or set CELERIAC_JOURNAL_URL to another",
            )
        if found is None:
            from celeriac.journal.create import create

            create(engine, HEAD)
        else:
            from celeriac.journal.migrate import upgrade

            upgrade(engine)

    def _unavailable(self, error: Exception) -> JournalUnavailable:
        cause = str(getattr(error, "orig", error)).strip().splitlines()
        return JournalUnavailable(
            f"the journal's database {hide(self.url)} does not answer: {cause[0] if cause else error}",
            hint="is it running, and is CELERIAC_JOURNAL_URL right?",
        )


def _revision(connection: Connection) -> str | None:
    """Return the revision of the schema; None for a new database, nothing where no migration came to its end."""
    from sqlalchemy.exc import ProgrammingError

    try:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    except (OperationalError, ProgrammingError) as error:
        connection.rollback()
        if "alembic_version" in str(error):
            return None
        raise
    return str(row[0]) if row else ""


def hide(url: str) -> str:
    """Return a URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", url)
