"""The composition root: settings -> queues, engine, runners, publisher, put together once an app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from celeriac.container.base import Runner
from celeriac.engine import Engine
from celeriac.expression.evaluate import install
from celeriac.job.run import JobRunner
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from queues.file import load
from queues.find import PACKAGED, find, host_queue
from tasks.canvas import CeleryPublisher


def cluster_queues(settings: Settings) -> tuple[QueueLimits, ...]:
    """Return the queues of a cluster; raises :class:`~celeriac.errors.QueueFileError`."""
    return load(find(settings.queues or None, Path.cwd()))


def local_queues(settings: Settings) -> tuple[tuple[QueueLimits, ...], bool]:
    """Return the queues of an embedded run, and whether they are a file's: else one of this host's size."""
    path = find(settings.queues or None, Path.cwd())
    return ((host_queue(),), False) if path == PACKAGED else (load(path), True)


def job_runner(settings: Settings) -> JobRunner:
    """Return what runs jobs; neither engine nor process is touched before the first job."""

    def containers() -> Runner:
        from celeriac.container.docker import DockerRunner

        return DockerRunner(settings.docker_host or None, lock_directory=settings.home / "locks")

    def processes() -> Runner:
        from celeriac.container.process import ProcessRunner

        return ProcessRunner()

    return JobRunner(containers, processes)


def assemble(
    app: Any,
    settings: Settings,
    queues: Sequence[QueueLimits],
    *,
    enforce_limits: bool,
    on_end: Callable[[str], None] | None = None,
) -> Engine:
    """Put an engine together and hang it on its Celery app."""
    install()
    engine = Engine(
        settings,
        queues,
        CeleryPublisher(app),
        job_runner(settings),
        enforce_limits=enforce_limits,
        on_end=on_end,
    )
    app.celeriac = engine
    return engine
