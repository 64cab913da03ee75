"""SQLite as a journal: one writer at a time, and others that get their turn without delay."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

#: Seconds after which the file is given up as locked.
TIMEOUT = 30
#: KiB of pages that a connection holds on to. Another process's commit empties this cache, so that a larger one is
#: of no use, and every process of a run has several.
CACHE = 1000
#: Seconds between two tries to write: the first pause, and the longest. SQLite's own begin at 1 ms and soon
#: take 25, while a transaction of the journal takes less than one.
FIRST, LONGEST = 0.0003, 0.005


def make(url: Any, **options: Any) -> Engine:
    """Return the engine of a journal in a file; its transactions begin as soon as they can.

    One that is to read says so by the execution option ``celeriac_read``, and never waits for a writer.
    """
    if url.database and url.database != ":memory:":
        Path(url.database).expanduser().parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": TIMEOUT, "check_same_thread": False}, **options)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, IMMEDIATE
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA cache_size=-{CACHE}")
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("celeriac_read"):
        connection.exec_driver_sql("BEGIN")
    elif not _begin_writing(connection.connection.dbapi_connection):
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # it fails once more, as SQLAlchemy's error


def _begin_writing(raw: Any) -> bool:
    """Begin a transaction that writes; return whether it has begun.

    A deferred transaction that turns into a writer would fail at once: the lock is taken first.
    """
    cursor = raw.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    try:
        return _is_begun(cursor)
    finally:
        cursor.execute(f"PRAGMA busy_timeout={TIMEOUT * 1000}")
        cursor.close()


def _is_begun(cursor: Any) -> bool:
    until, pause = time.monotonic() + TIMEOUT, FIRST
    while True:
        try:
            cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                return False
        else:
            return True
        time.sleep(pause)
        pause = min(LONGEST, pause * 1.2)
