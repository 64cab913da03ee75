"""The Celery tasks: each a few lines around one use case of the engine."""

from tasks.control import advance, cancel_run, cancel_step, gather, notify, outputs, settle, sweep
from tasks.execute import execute
from tasks.workflow import run_workflow

__all__ = [
    "advance", "cancel_run", "cancel_step", "execute", "gather", "notify", "outputs", "run_workflow", "settle", "sweep",
]  # fmt: skip
