"""The threads of an embedded run: so many for steps, and one for scheduling, which never waits for a step."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from celery.concurrency.base import apply_target
from celery.concurrency.thread import ApplyResult, TaskPool

from celeriac.names import EXECUTE


class LanePool(TaskPool):  # type: ignore[misc]
    """Celery's thread pool, with a thread of its own for all tasks that are no steps."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.control = ThreadPoolExecutor(max_workers=1)

    def on_stop(self) -> None:
        """End both; what has not started never does."""
        self.control.shutdown(cancel_futures=True)
        super().on_stop()

    def on_apply(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
        accept_callback: Callable[..., Any] | None = None,
        **_: Any,
    ) -> ApplyResult:
        """Run a task (its name is the first of ``args``) in its lane."""
        lane = self.executor if args and args[0] == EXECUTE else self.control
        return ApplyResult(lane.submit(apply_target, target, args, kwargs, callback, accept_callback))
