"""A container's standard streams: one attached socket, polled, never blocking, in fixed-size pieces."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from typing import Any, BinaryIO

from celeriac.container.docker.connection import Connection
from celeriac.container.docker.demultiplex import STDERR, STDOUT, Demultiplexer

#: Bytes read or sent at a time.
PIECE = 256 * 1024


class OutputFailed(Exception):
    """A tool's output could not be written to its file."""


def attach(connection: Connection, container: str, *, stdin: bool) -> tuple[socket.socket, Any]:
    """Return a container's attached socket, which never blocks, and what is to be closed with it."""
    params = {"stdout": 1, "stderr": 1, "stream": 1, "stdin": int(stdin)}
    attached: Any = connection.client.attach_socket(container, params)
    # a descriptor of our own: the SDK's object is no socket but a reader of one
    own = socket.socket(fileno=os.dup(attached.fileno()))
    own.setblocking(False)
    return own, getattr(attached, "_response", attached)  # what the SDK keeps the socket by


class Streams:
    """Output from the engine to two files, input from a file to the engine.

    Poll :attr:`fd` for :attr:`events` and call :meth:`pump`.
    """

    def __init__(
        self,
        connection: Connection,
        container: str,
        stdout: BinaryIO,
        stderr: BinaryIO,
        stdin: BinaryIO | None,
    ) -> None:
        self.ended_at: float | None = None  # by time.time()
        self._files = (stdout, stderr)
        self._frames = Demultiplexer({STDOUT: stdout, STDERR: stderr})
        self._buffer = memoryview(bytearray(PIECE))
        self._stdin = stdin
        self._input_cut = False
        self._to_send = memoryview(b"")
        self._socket, self._response = attach(connection, container, stdin=stdin is not None)

    @property
    def fd(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    @property
    def events(self) -> int:
        """What to poll for."""
        return select.POLLIN | (select.POLLOUT if self._stdin else 0)

    @property
    def is_whole(self) -> bool:
        """Whether no frame was cut."""
        return self._frames.is_between_frames

    @property
    def input_is_sent(self) -> bool:
        """Whether all of the standard input went out."""
        return self._stdin is None and not self._input_cut

    @property
    def ended(self) -> bool:
        """Whether no more output will come."""
        return self.ended_at is not None

    def end(self) -> None:
        """Take no more output."""
        self.ended_at = time.time()

    def pump(self, events: int) -> None:
        """Do what is ready; raises :class:`OutputFailed`."""
        if events & select.POLLOUT and self._stdin:
            self._send()
        if events & ~select.POLLOUT:
            self._receive()

    def _receive(self) -> None:
        try:
            count = self._socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:  # a reset is an end, too: the container's state says which
            count = 0
        if not count:
            self.end()
            return
        try:
            self._frames.feed(self._buffer[:count])
            for file in self._files:
                file.flush()  # the files are the live logs
        except OSError as error:
            raise OutputFailed(error.strerror) from error

    def _send(self) -> None:
        assert self._stdin
        if not self._to_send:
            self._to_send = memoryview(self._stdin.read(PIECE))
        try:
            if not self._to_send:
                self._socket.shutdown(socket.SHUT_WR)  # the half that says "end of input"; output goes on
                self._stdin = None
                return
            self._to_send = self._to_send[self._socket.send(self._to_send) :]
        except BlockingIOError:
            return
        except OSError:  # most often a tool that ended before it read all: its own business
            self._stdin, self._input_cut = None, True

    def close(self) -> None:
        """Close the connection; to do it twice is the same as once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._response.close()
