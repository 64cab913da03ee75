"""Parts that the tests of a host's slots share.

A HostSlots has its own part in the ledger, so several of them in one process are to one another what
processes are. :func:`die` does to one what SIGKILL does to a process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celeriac.resources import Budget, Resources
from celeriac.slots import Slot
from queues.ledger import Ledger, boot_id, overview
from queues.slots import HostSlots
from queues.turns import Entry

HANG = 60.0
BUDGET = Budget(4, 40, ("0", "1"))
ONE = Resources(1, 1)
ALL = Resources(4, 40, 2)


def never() -> bool:
    return False


def some(looks: int = 3) -> Callable[[], bool]:
    """Want it for so many looks."""
    left = iter(range(looks))
    return lambda: next(left, None) is not None


def die(slots: HostSlots) -> None:
    """Lose the lock and all that was known, as a killed process does; the object is a new process then."""
    slots.before_fork()
    slots.in_parent()
    slots.in_child()


def names(directory: Path, *, waiting: bool = False) -> list[str]:
    return [line.name for line in overview(directory) if line.waiting is waiting]


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + HANG
    while not condition():
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.002)


@contextmanager
def waiting(directory: Path, slots: HostSlots, name: str, wanted: Resources) -> Iterator[Future[Slot | None]]:
    """Have a thread wait for something; it gives up at the end."""
    gone = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        try:
            future = pool.submit(slots.take, name, wanted, lambda: not gone.is_set())
            until(lambda: future.done() or name in names(directory, waiting=True))
            yield future
        finally:
            gone.set()


def entries(directory: Path) -> list[Entry]:
    with open_ledger(directory) as ledger:
        return ledger.entries()


@contextmanager
def open_ledger(directory: Path) -> Iterator[Ledger]:
    ledger = Ledger(directory, boot_id())
    try:
        yield ledger
    finally:
        ledger.close()
