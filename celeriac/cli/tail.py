"""Read log files that may still grow, and write them on: as they are, line by line, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

#: Bytes read at once, and the longest line that is kept together.
PIECE = 64 * 1024


class Writer:
    """Writes pieces as they come."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out

    def write(self, piece: bytes) -> None:
        """Write a piece of a file."""
        self._out.write(piece)

    def flush(self) -> None:
        """Have what was written appear."""
        self._out.flush()

    def end(self) -> None:
        """Write what was held back: nothing comes any more."""
        self.flush()


class Lines(Writer):
    """Writes whole lines, each with a label."""

    def __init__(self, out: IO[bytes], label: str) -> None:
        super().__init__(out)
        self._label = label.encode("utf-8", "replace")
        self._held = b""

    def write(self, piece: bytes) -> None:
        """Write the lines that are whole now."""
        *lines, self._held = (self._held + piece).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._held) > PIECE:
            self._line(self._held)
            self._held = b""

    def end(self) -> None:
        """Write the last line, if nothing ended it."""
        if self._held:
            self._line(self._held)
            self._held = b""
        super().end()

    def _line(self, line: bytes) -> None:
        self._out.write(self._label + line + b"\n")


class Records(Lines):
    """Writes an object of JSON for each line."""

    def __init__(self, out: IO[bytes], fields: Mapping[str, Any]) -> None:
        super().__init__(out, "")
        self._fields = dict(fields)

    def _line(self, line: bytes) -> None:
        record = {**self._fields, "line": line.decode("utf-8", "replace")}
        self._out.write(json.dumps(record).encode() + b"\n")


class Tail:
    """A file that is read on from where it was left. It need not be there yet."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self._path = path
        self._writer = writer
        self._file: IO[bytes] | None = None

    def read(self, *, final: bool) -> None:
        """Write what has come; ``final`` says that nothing comes any more."""
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except OSError:
                return
        while piece := self._file.read(PIECE):
            self._writer.write(piece)
        if final:
            self._writer.end()
            self._file.close()
        else:
            self._writer.flush()


def copy(path: Path, writer: Writer) -> None:
    """Write a file's whole content, nothing if it is not there."""
    Tail(path, writer).read(final=True)
