"""The engine's stream format: frames of eight bytes of header (stream, 0, 0, 0, length) and a payload.

Source: Docker Engine API, ContainerAttach, "Stream format". Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

STDOUT, STDERR = 1, 2
_HEADER = 8


class Sink(Protocol):
    """What takes a stream's bytes."""

    def write(self, data: memoryview, /) -> object:
        """Take all of ``data`` before it returns: the memory is used again."""


class Demultiplexer:
    """Takes frames apart, whatever pieces they come in; keeps no payload."""

    def __init__(self, sinks: Mapping[int, Sink]) -> None:
        self._sinks = sinks
        self._header = bytearray()
        self._sink: Sink = sinks[STDERR]
        self._left = 0  # of the current payload

    @property
    def is_between_frames(self) -> bool:
        """Whether the stream may end here."""
        return not self._left and not self._header

    def feed(self, data: memoryview) -> None:
        """Hand the payloads in ``data`` to their sinks."""
        while data:
            taken = self._payload(data) if self._left else self._head(data)
            data = data[taken:]

    def _payload(self, data: memoryview) -> int:
        piece = data[: self._left]
        self._sink.write(piece)
        self._left -= len(piece)
        return len(piece)

    def _head(self, data: memoryview) -> int:
        piece = data[: _HEADER - len(self._header)]
        self._header += piece
        if len(self._header) == _HEADER:
            # anything but stdout is for people: the engine's own words too (stream 3)
            self._sink = self._sinks.get(self._header[0], self._sinks[STDERR])
            self._left = int.from_bytes(self._header[4:], "big")
            self._header.clear()
        return len(piece)
