"""Deliver what listeners are to be told of a run: in order, one at a time, again till it has arrived."""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from celeriac.errors import SettingsError
from celeriac.journal import notices
from celeriac.journal.tables import Record
from celeriac.notify.post import post
from celeriac.notify.retry import Answer, Kind, Next, after, pause
from celeriac.notify.sign import body
from celeriac.settings import Settings

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine
    from celeriac.journal.database import Database

log = logging.getLogger(__name__)

#: Seconds that a claim outlasts the time of a post: its answer is to be written, too.
MARGIN = 15.0
#: Seconds between two looks of who waits for the end.
POLL = 0.02


def deliver(database: Database, settings: Settings, run: str) -> None:
    """Post what is due of a run, listener by listener, each till nothing is left or one notice has failed.

    Any process may do it at any time: a line is in the hands of one of them. What a process that dies had in hand
    is posted again when its claim is over, under the same key.
    """
    with database.read() as connection:
        found = notices.targets(connection, run)
    for target in found:
        if target or settings.notify_url:  # else somebody else has the settings for it
            _deliver(database, settings, run, target)


def _deliver(database: Database, settings: Settings, run: str, target: str) -> None:
    lease = settings.notify_timeout + MARGIN
    with database.begin() as connection:
        notice = notices.claim(connection, run, target, lease)
    while notice is not None:
        answer = send(settings, notice)
        step = after(answer, notice.tries, settings)
        _tell(notice, answer, step)
        wait = pause(answer, notice.tries, settings, random.random())
        with database.begin() as connection:
            match step:
                case Next.FORGET:
                    notices.delivered(connection, notice.id)
                case Next.PUT_OFF:
                    notices.failed(connection, notice, wait, answer.reason)
                case Next.PUT_OFF_ALL:
                    notices.away(connection, notice, wait, answer.reason)
                case Next.BURY | Next.BURY_LINE:
                    notices.bury(connection, notice, answer.reason, line=step is Next.BURY_LINE)
            goes_on = step in (Next.FORGET, Next.BURY)
            notice = notices.claim(connection, run, target, lease) if goes_on else None


def undelivered(engine: Engine, run: str) -> Sequence[Record]:
    """Deliver what is left of a run that has ended, for ``notify_wait`` seconds at most; return what is left then.

    It does not wait for what is not tried again within that time.
    """
    deadline = time.monotonic() + engine.settings.notify_wait
    while True:
        engine.courier.take(run)
        with engine.database.read() as connection:
            left = notices.listing(connection, of=[run])
        alive = {row.target: row for row in reversed(left) if not row.dead}  # the head of each line
        remaining = deadline - time.monotonic()
        # without an error it is on its way just now
        if remaining <= 0 or all(row.error and row.pause > remaining for row in alive.values()):
            return left
        time.sleep(min(POLL, remaining))


def send(settings: Settings, notice: Record) -> Answer:
    """Post one notice."""
    url = address(settings, notice.target, notice.route)
    if url is None:
        return Answer(Kind.UNSENT, "CELERIAC_NOTIFY_URL is not set where it was to go out")
    if notice.signed and not settings.notify_key:
        return Answer(Kind.UNSENT, "it is to be signed, and CELERIAC_NOTIFY_KEY is not set where it was to go out")
    try:
        text = body(settings, notice.payload) if notice.route != "weblog" else _event(settings, notice)
    except SettingsError as error:
        return Answer(Kind.UNSENT, error.message)
    return post(url, text, notice.key, settings.notify_timeout)


def _event(settings: Settings, notice: Record) -> bytes:
    """Return the body of an event: Nextflow's have no payload around them, unless they are signed."""
    return body(settings, notice.payload) if settings.notify_key else json.dumps(notice.payload).encode()


def address(settings: Settings, target: str, route: str) -> str | None:
    """Return where a notice goes: to its route under the listener's URL, events to the URL itself."""
    url = target or settings.notify_url
    if not url or route == "weblog":
        return url or None
    base, question, query = url.partition("?")
    return f"{base.rstrip('/')}/{settings.notify_paths[route].lstrip('/')}{question}{query}"


def _tell(notice: Record, answer: Answer, step: Next) -> None:
    """Say in the log what did not arrive: the first try of each, and what is given up or can't be sent."""
    what = f"the {notice.route} notice {notice.key} of run {notice.run_id}"
    if step in (Next.BURY, Next.BURY_LINE):
        log.error("%s is given up: %s (`celeriac notify replay` sends it again)", what, answer.reason)
    elif answer.kind is Kind.UNSENT:
        log.error("%s waits: %s", what, answer.reason)
    elif answer.kind is not Kind.DELIVERED and notice.tries == 1:
        log.warning("%s has not arrived and is tried again: %s", what, answer.reason)
