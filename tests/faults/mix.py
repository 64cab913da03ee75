"""A mix of faults: one after another, at random times, to processes, the broker and the database of a site."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from signal import SIGCONT, SIGINT, SIGKILL, SIGQUIT, SIGSTOP, SIGTERM, Signals

from redis import Redis
from redis.exceptions import RedisError

from tests.faults import servers
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.worker import Worker


class Mix:
    """Does one thing after another to a site, each at a random time; all is well again at the end of each."""

    def __init__(self, site: Site, journal: servers.Restartable, dice: random.Random, fault: Fault) -> None:
        self._site = site
        self._journal = journal
        self._dice = dice
        self._fault = fault
        self._what: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self._kill_child),
            (3, lambda: self._worker().send(SIGKILL)),
            (3, lambda: self._worker().send_all(SIGKILL)),
            (2, lambda: self._worker().send(SIGTERM)),
            (1, lambda: self._twice(SIGQUIT)),
            (1, lambda: self._twice(SIGINT)),
            (1, self._halt_worker),
            (2, self._kill_broker),
            (1, self._halt_broker),
            (2, lambda: self._tell(lambda client: client.flushall())),
            (1, self._fill_broker),
            (2, lambda: self._tell(self._double)),
            (2, lambda: self._tell(self._delete)),
            (1, self._restart_journal),
        )

    def step(self) -> None:
        """Wait a moment, do something, and start what is dead again."""
        time.sleep(self._dice.uniform(0.5, 4.0))
        weights = [weight for weight, _ in self._what]
        action = self._dice.choices([action for _, action in self._what], weights)[0]
        action()
        self._fault.injected()
        time.sleep(self._dice.uniform(0.5, 2.0))
        self._site.tend()

    def _worker(self) -> Worker:
        if not any(worker.is_alive for worker in self._site.workers):
            self._site.tend()
        return self._dice.choice([worker for worker in self._site.workers if worker.is_alive])

    def _kill_child(self) -> None:
        children = self._worker().children
        if children:
            with suppress(ProcessLookupError):
                os.kill(self._dice.choice(children).pid, SIGKILL)

    def _twice(self, number: Signals) -> None:
        worker = self._worker()
        for _ in range(2):
            worker.send(number)
            time.sleep(0.3)

    def _halt_worker(self) -> None:
        worker = self._worker()
        worker.send_all(SIGSTOP)
        time.sleep(self._dice.uniform(1.0, 9.0))
        worker.send_all(SIGCONT)

    def _kill_broker(self) -> None:
        self._site.broker.kill()
        time.sleep(self._dice.uniform(0.1, 3.0))
        self._site.broker.start()

    def _halt_broker(self) -> None:
        self._site.broker.send(SIGSTOP)
        time.sleep(self._dice.uniform(1.0, 9.0))
        self._site.broker.send(SIGCONT)

    def _restart_journal(self) -> None:
        self._journal.stop()
        time.sleep(self._dice.uniform(0.1, 3.0))
        self._journal.start()

    def _tell(self, action: Callable[[Redis], object]) -> None:
        with Redis.from_url(self._site.broker.url) as client, suppress(RedisError):
            action(client)

    def _fill_broker(self) -> None:
        self._tell(lambda client: client.config_set("maxmemory", "1"))
        time.sleep(self._dice.uniform(1.0, 5.0))
        self._tell(lambda client: client.config_set("maxmemory", "0"))

    def _double(self, client: Redis) -> None:
        for key, messages in servers.waiting(client).items():
            client.rpush(key, *messages)

    def _delete(self, client: Redis) -> None:
        for key in servers.waiting(client):
            client.delete(key)
