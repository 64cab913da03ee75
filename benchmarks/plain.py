"""Celery alone: an application with one task that does nothing. Broker and backend are its starter's."""

from __future__ import annotations

from celery import Celery

app = Celery("plain", set_as_current=False)


@app.task(name="plain.nothing")  # type: ignore[untyped-decorator]
def nothing() -> None:
    """Do nothing."""
