"""Children are forked while no other thread of the main process holds anything."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from config.forks import Forks


@contextmanager
def _at_work(forks: Forks, seconds: float) -> Iterator[threading.Lock]:
    """Have a thread hold a lock, and say that it is at work."""
    lock, begun, over = threading.Lock(), threading.Event(), threading.Event()

    def work() -> None:
        with forks.none(), lock:
            begun.set()
            over.wait(seconds)

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    yield lock
    over.set()
    thread.join()


def _free_in_child(lock: threading.Lock) -> bool:
    """Fork, and tell whether the child could have the lock."""
    pid = os.fork()
    if pid == 0:
        os._exit(0 if lock.acquire(blocking=False) else 1)
    return os.waitpid(pid, 0)[1] == 0


def test_a_fork_waits_for_who_is_at_work() -> None:
    forks = Forks()
    with _at_work(forks, 0.2) as lock:
        assert not _free_in_child(lock), "without it the child could wait for ever"
    forks.follow()
    with _at_work(forks, 0.2) as lock:
        assert _free_in_child(lock)
    assert _free_in_child(lock)


def test_a_fork_does_not_wait_for_ever() -> None:
    forks = Forks(patience=0.05)
    forks.follow()
    with _at_work(forks, 60) as lock:
        assert not _free_in_child(lock)


def test_who_is_at_work_may_fork_and_so_may_a_child() -> None:
    forks = Forks(patience=60)
    forks.follow()
    with forks.none():
        pid = os.fork()
        if pid == 0:
            with forks.none():
                os._exit(0 if _free_in_child(threading.Lock()) else 1)
    assert os.waitpid(pid, 0)[1] == 0
