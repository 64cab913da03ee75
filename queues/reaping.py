"""What the reaper does once an owner of the ledger has died: nothing of its attempts is left running."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from queues import owners
from queues.alive import boot_id
from queues.ledger import Busy, Ledger
from queues.remains import Remains, see_to
from queues.turns import Entry

#: Seconds between two rounds while something of the dead is left.
PAUSE = 0.5
#: Attempts that are ended at the same time.
AT_ONCE = 8


def reap(directory: Path, remains: Remains) -> None:
    """End what the dead owners of this boot left, and forget them; returns when none of them is left.

    While something can't be ended (the container engine does not answer, say) it is tried again, until
    the lease after which :func:`see_to` gives its slot back all the same. Raises
    :class:`~celeriac.errors.UnavailableError` for a ledger that can't be used.
    """
    boot = boot_id()
    ledger = Ledger(directory, boot)
    try:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="reap") as pool:
            while any(token.startswith(f"{boot}-") for token in owners.dead(directory)):
                with contextlib.suppress(Busy):
                    _round(ledger, directory, f"{boot}-reaper", remains, pool)
                time.sleep(PAUSE)
    finally:
        ledger.close()


def _round(ledger: Ledger, directory: Path, me: str, remains: Remains, pool: ThreadPoolExecutor) -> None:
    left = see_to(ledger, directory, me, remains, time.clock_gettime(time.CLOCK_BOOTTIME))

    def clear(entry: Entry) -> bool:
        return remains.is_cleared(entry.name)

    for entry, cleared in zip(left, pool.map(clear, left), strict=True):
        if cleared:
            ledger.remove(entry.owner, entry.name)
