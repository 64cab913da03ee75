"""What cwltool and schema-salad complain of while they load a document."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("cwltool", "salad")


def are_heard() -> bool:
    """Whether this process lets anybody see their complaints."""
    return any(logging.getLogger(name).isEnabledFor(logging.WARNING) for name in _LIBRARIES)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Yield what they complain of meanwhile; nothing where nobody hears it."""
    found: list[str] = []

    def note(record: logging.LogRecord) -> bool:
        if record.levelno >= logging.WARNING:
            found.append(record.getMessage())
        return True

    for name in _LIBRARIES:
        logging.getLogger(name).addFilter(note)
    try:
        yield found
    finally:
        for name in _LIBRARIES:
            logging.getLogger(name).removeFilter(note)
