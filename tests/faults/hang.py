"""What helps to find out why nothing goes on: where each process of the workers is, and who waits in the database."""

from __future__ import annotations

import time
from contextlib import suppress
from signal import SIGABRT

from sqlalchemy import text

from celeriac.errors import JournalUnavailable
from tests.faults.site import Site

_ACTIVITY = """\
SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid) AS blocked_by, now() - xact_start AS since,
       left(regexp_replace(query, '\\s+', ' ', 'g'), 200) AS query
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
"""


def shown(site: Site) -> str:
    """End the workers so that they write into their logs where they were; return who waited in the database."""
    waiting = _activity(site)
    for worker in site.workers:
        with suppress(ProcessLookupError):
            worker.send_all(SIGABRT)  # Python's faulthandler, which they were started with
    time.sleep(2)
    return waiting


def _activity(site: Site) -> str:
    if site.view.database.sqlite:
        return ""
    try:
        with site.view.database.read() as connection:
            rows = connection.execute(text(_ACTIVITY)).all()
    except JournalUnavailable as error:
        return str(error)
    return "\n".join(f"database: {dict(row._mapping)}" for row in rows)
