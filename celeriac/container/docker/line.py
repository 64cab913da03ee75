"""The line to the shell of a container that commands share: orders go out, words come in."""

from __future__ import annotations

import contextlib
import select
import socket
import time

from celeriac.container.docker.connection import Connection
from celeriac.container.docker.demultiplex import STDERR, STDOUT, Demultiplexer
from celeriac.container.docker.streams import attach

#: Seconds within which an order must have been taken.
TAKEN_WITHIN = 60.0
_PIECE = 64 * 1024
#: Bytes that are kept of what the shell complains about.
_COMPLAINTS = 4096


class Line:
    """Both ends of one shell; it ends when its input does."""

    def __init__(self, connection: Connection, container: str) -> None:
        self.ended = False
        self._out, self._err = bytearray(), bytearray()
        self._frames = Demultiplexer({STDOUT: _Kept(self._out), STDERR: _Kept(self._err)})
        self._socket, self._response = attach(connection, container, stdin=True)

    def fileno(self) -> int:
        """Return the descriptor to poll for input."""
        return self._socket.fileno()

    @property
    def complaints(self) -> str:
        """What the shell said on standard error."""
        return bytes(self._err[-_COMPLAINTS:]).decode(errors="replace").strip()

    def send(self, order: bytes) -> None:
        """Send an order; what nobody takes is told by :attr:`ended`."""
        left, until = memoryview(order), time.monotonic() + TAKEN_WITHIN
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        while left and not self.ended:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                poller.poll(1000)
                self.ended = time.monotonic() > until
            except OSError:
                self.ended = True

    def receive(self) -> list[str]:
        """Return the whole lines that have come; does not wait."""
        while not self.ended:
            try:
                data = self._socket.recv(_PIECE)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self.ended = not data
            self._frames.feed(memoryview(data))
        *lines, rest = bytes(self._out).split(b"\n")
        self._out[:] = rest
        del self._err[:-_COMPLAINTS]
        return [line.decode(errors="replace") for line in lines]

    def close(self) -> None:
        """Close it: a shell that waits ends."""
        self.ended = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._response.close()


class _Kept:
    def __init__(self, kept: bytearray) -> None:
        self._kept = kept

    def write(self, data: memoryview, /) -> None:
        self._kept.extend(data)
