"""Serve the application: one process or several, each with its own engine, behind one socket."""

from __future__ import annotations

import asyncio
import functools
import logging
import resource
import signal
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from celeriac.api import children
from celeriac.api.app import create
from celeriac.errors import UsageError
from celeriac.settings import Settings

#: Seconds that a connection may wait for its next request.
KEEP_ALIVE = 15
#: Seconds that requests have to come to their end when the server is told to.
GRACE = 20
#: Seconds after which a thread that loads a document lets others go on: a state is told meanwhile.
SWITCH = 0.0005
#: Bytes of a request's line and headers.
HEADERS = 64 * 1024


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises :class:`~celeriac.errors.UsageError` where none can."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.create_server(address[:2], family=family, backlog=2048, reuse_port=False)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"nobody can listen on {host}, port {port}: {why}", hint="--host and --port name it"
        ) from error
    return made


def serve(runtime: Any, settings: Settings, listening: socket.socket, *, guarded: bool, workers: int) -> None:
    """Serve until SIGTERM or SIGINT; requests that are under way then come to their end."""
    raise_limit()
    leave_deaf(listening, settings.api_timeout)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    make: Callable[[], FastAPI] = functools.partial(application, runtime, settings, guarded)
    config = uvicorn.Config(
        make,
        factory=True,
        http=functools.partial(_protocol, settings.api_waiting, settings.api_timeout),  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_level="error",  # what is wrong with requests is told to who asked, and fills no log
        access_log=False,  # it would have query strings, and what is in them
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        h11_max_incomplete_event_size=HEADERS,
    )

    def work() -> None:
        sys.setswitchinterval(SWITCH)
        server = uvicorn.Server(config)

        def stop(number: int, frame: Any) -> None:
            server.should_exit = True

        for name in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises them again when it has ended
            signal.signal(name, stop)
        server.run(sockets=[listening])

    if workers == 1:
        work()
    else:
        children.serve(work, workers)


def application(runtime: Any, settings: Settings, guarded: bool) -> FastAPI:
    """Return an application with an engine that publishes to the broker's workers; for each process its own."""
    return create(runtime.engine(settings), settings, guarded=guarded)


def raise_limit() -> None:
    """Let this process have as many connections as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def leave_deaf(listening: socket.socket, patience: float) -> None:
    """Have the kernel end connections whose client has taken nothing for so many seconds.

    uvicorn would wait for ever: to say that something went wrong, and to have said all before it closes.
    """
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(min(patience * 1000, 2**31 - 1)))


class Waiting:
    """Connections whose request is not whole yet. The oldest goes when there are too many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: OrderedDict[Any, None] = OrderedDict()

    def add(self, connection: Any) -> None:
        """Note that a connection waits, and close the one that has waited longest if it is one too many."""
        self._found[connection] = None
        if len(self._found) > self._most:
            oldest, _ = self._found.popitem(last=False)
            oldest.transport.abort()

    def remove(self, connection: Any) -> None:
        """Note that a connection waits no more."""
        self._found.pop(connection, None)


class Patient(H11Protocol):
    """A connection that has to bring the head of each request in time.

    uvicorn times only the pause between two requests, and no more once a byte of the next is there. Slow connections
    hold no more than their number, and others' requests are not kept from coming.
    """

    def __init__(self, waiting: int, patience: float, **others: Any) -> None:
        super().__init__(**others)
        self._patience = patience
        state: Any = self.server_state
        if not hasattr(state, "waiting"):
            state.waiting = Waiting(waiting)
        self._waiting: Waiting = state.waiting
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle what came."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Go on with what came meanwhile. If nothing did, the pause between two requests is uvicorn's to time."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._look()

    def _look(self) -> None:
        """Wait, unless a request is open: for more of a head, or of what was answered before it was whole."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._arrived()
        elif self._timer is None and not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self._waiting.add(self)
        self._timer = self.loop.call_later(self._patience, self.transport.abort)

    def _arrived(self) -> None:
        self._waiting.remove(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _protocol(waiting: int, patience: float, **others: Any) -> Patient:
    return Patient(waiting, patience, **others)
