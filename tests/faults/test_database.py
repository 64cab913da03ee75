"""The journal's database is away for one worker, locked, or started again."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg
import pytest
from sqlalchemy.engine import make_url

from celeriac.states import AttemptState
from tests.faults import servers
from tests.faults.checks import gone, kept
from tests.faults.conftest import MakeSite
from tests.faults.journal import until
from tests.faults.proxy import proxy
from tests.faults.report import Fault
from tests.faults.site import Site, fresh_database, process_of
from tests.faults.workflow import Reference

#: Longer than a lease, in seconds.
LONG = 10.0


@pytest.mark.fault("database", "away from one worker for longer than its lease")
@pytest.mark.parametrize(
    "silently", [pytest.param(False, marks=pytest.mark.ci), True], ids=["connections refused", "nobody answers"]
)
def test_one_worker_is_cut_off(make_site: MakeSite, fault: Fault, postgresql_url: str, silently: bool) -> None:
    journal = fresh_database(postgresql_url)
    site, what = make_site("near", journal=journal), Reference(8, 2.5)
    with proxy(journal) as (way, url):
        far = site.worker("far", JOURNAL_URL=url)
        run = site.submit(what)
        attempts = _of(site, run, far.pid)
        way.cut(silently=silently)
        fault.injected()
        before = time.monotonic()
        _lost(site, run, attempts)
        gone(site, attempts)
        time.sleep(max(0.0, LONG - (time.monotonic() - before)))
        way.mend()
        kept(site, run, what, fault)
        far.ask_to_end()
        far.wait()


def _of(site: Site, run: str, worker: int) -> list[str]:
    """Wait until a worker has steps at work; return their attempts."""
    def look() -> list[str]:
        children = {child.pid for one in site.workers if one.pid == worker for child in one.children}
        return [attempt.id for attempt in site.view.running(run) if process_of(attempt) in children]

    return until(look, "the worker takes no step")


def _lost(site: Site, run: str, attempts: list[str]) -> None:
    def look() -> bool:
        states = {attempt.id: attempt.state for attempt in site.view.attempts(run)}
        return all(states[name] != AttemptState.RUNNING for name in attempts)

    until(look, "its steps are not taken for lost")


@pytest.mark.fault("database", "locked for 30 s")
@pytest.mark.parametrize("kind", ["PostgreSQL", "SQLite"])
def test_it_is_locked(make_site: MakeSite, fault: Fault, kind: str) -> None:
    site = make_site("one", "two", journal=None if kind == "PostgreSQL" else "")
    what = Reference(8, 2.0)
    run = site.submit(what)
    site.done(run, 1)
    site.running(run)
    with _locked(site.settings.journal):
        fault.injected()
        time.sleep(31)  # SQLite's own patience is 30
    kept(site, run, what, fault)


@contextmanager
def _locked(journal: str) -> Iterator[None]:
    url = make_url(journal)
    if url.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(url.database), isolation_level=None, timeout=30)) as database:
            database.execute("BEGIN EXCLUSIVE")
            yield
            database.execute("ROLLBACK")
        return
    plain = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        while True:
            try:
                connection.execute("LOCK TABLE attempts, runs IN ACCESS EXCLUSIVE MODE")
                break
            except psycopg.errors.DeadlockDetected:  # a worker had the second and waits for the first
                connection.rollback()
        yield
        connection.rollback()


@pytest.mark.fault("database", "PostgreSQL")
@pytest.mark.parametrize("how", ["stopped and started again", "SIGKILLed and started again"])
def test_it_is_started_again(make_site: MakeSite, fault: Fault, how: str) -> None:
    with servers.postgresql() as server:
        site, what = make_site("one", "two", journal=fresh_database(server.url)), Reference(8, 1.0)
        run = site.submit(what)
        for done in (0, 3):
            site.done(run, done)
            site.running(run)
            server.stop() if how.startswith("stopped") else server.kill()
            fault.injected()
            time.sleep(3)
            server.start()
        kept(site, run, what, fault)
        for worker in site.workers:
            worker.ask_to_end()
        for worker in site.workers:
            worker.wait()
