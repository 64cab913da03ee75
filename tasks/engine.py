"""The engine of a Celery app, as the composition root put it there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celeriac.engine import Engine
from celeriac.engine.execute import Execution, execute_and_go_on
from celeriac.errors import SettingsError


def execute_with(app: Any) -> Callable[[list[str]], Execution]:
    """Return what runs attempts for this app: its own processes where it has some, else this one."""
    return getattr(app, "celeriac_execute", None) or partial(execute_and_go_on, engine_of(app))


def engine_of(app: Any) -> Engine:
    """Return the engine; raises :class:`~celeriac.errors.SettingsError` where none was put together."""
    app = app._get_current_object() if hasattr(app, "_get_current_object") else app
    engine: Engine | None = getattr(app, "celeriac", None)
    if engine is None:
        raise SettingsError(
            "this Celery app has no engine: Celeriac's tasks run in its own workers",
            hint="start them with `celery worker` in a checkout of Celeriac, with its environment",
        )
    return engine
