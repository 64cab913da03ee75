"""Real services for tests: each a context manager that starts one privately and leaves nothing behind.

Every service module has two public names: ``missing()`` says in one sentence why the service can't
be had on this machine (empty: it can), and the context manager yields a running :class:`Server`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """A service that answers, for the time of a ``with`` block."""

    url: str  # as kombu, SQLAlchemy or the Docker SDK spell it
    pid: int | None  # of its main process; None: it ran before and goes on
