"""Calls that may take minutes, and end when they are cancelled."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from docker import APIClient
from docker.types import CancellableStream
from requests import Response

from celeriac.container.base import CancelToken

T = TypeVar("T")


class Interrupted(Exception):
    """The call was given up."""


class Interrupt:
    """Cuts the connections of one call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over = False
        self._responses: list[Response] = []

    def watch(self, client: APIClient) -> APIClient:
        """Make every answer to this client known here."""
        client.hooks["response"].append(self._add)
        return client

    def check(self) -> None:
        """Raise :class:`Interrupted` if the call was given up."""
        if self._over:
            raise Interrupted

    def cut(self) -> None:
        """Give the call up."""
        with self._lock:
            self._over = True
            responses = list(self._responses)
        for response in responses:
            _cut(response)

    def _add(self, response: Response, **_: Any) -> None:
        with self._lock:
            self._responses.append(response)
            over = self._over
        if over:
            _cut(response)
            raise Interrupted


def _cut(response: Response) -> None:
    with contextlib.suppress(Exception):  # it may be closed, or half open: either way it is over
        CancellableStream(iter(()), response).close()


def interruptible(work: Callable[[Interrupt], T], cancel: CancelToken, name: str) -> T:
    """Return ``work(interrupt)``, done in a thread of its own; raises ``cancel.error(name)`` at once.

    A thread that waits for an engine's first word can't be woken: it is left behind, and ends with it.
    """
    interrupt, future, wake = Interrupt(), Future[T](), threading.Event()
    future.add_done_callback(lambda _: wake.set())
    forget = cancel.on_cancel(wake.set)
    threading.Thread(target=_fulfil, args=(future, work, interrupt), name=f"fetch {name}", daemon=True).start()
    try:
        wake.wait()
        if future.done():
            return future.result()
        raise cancel.error(name)
    finally:
        forget()
        interrupt.cut()


def _fulfil(future: Future[T], work: Callable[[Interrupt], T], interrupt: Interrupt) -> None:
    try:
        future.set_result(work(interrupt))
    except BaseException as error:  # whatever it is, the waiting thread raises it
        future.set_exception(error)
