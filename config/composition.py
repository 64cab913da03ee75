"""The composition root: settings -> queues, engine, runners, slots, publisher, put together once an app."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kombu import Queue

from celeriac.container.base import Runner
from celeriac.engine import Engine
from celeriac.expression.evaluate import install
from celeriac.failpoints import failpoints
from celeriac.job.run import JobRunner, MemorySigns
from celeriac.names import is_rabbitmq
from celeriac.resources import Budget, QueueLimits
from celeriac.settings import Settings
from celeriac.slots import Slots, attempts_of
from config import reaper
from queues import owners
from queues.find import PACKAGED, find
from queues.host import HOST_QUEUE, host_budget, host_queue
from queues.kombu_queues import task_queues
from queues.slots import HostSlots
from queues.source import QueueFile
from tasks.canvas import CeleryPublisher

#: The queues for new runs, whenever it is called.
Queues = Callable[[], Sequence[QueueLimits]]


def cluster_queues(settings: Settings) -> QueueFile:
    """Return the queues of a cluster; raises :class:`~celeriac.errors.QueueFileError`."""
    return QueueFile(find(settings.queues or None, Path.cwd()))


def local_queues(settings: Settings) -> tuple[Queues, bool]:
    """Return the queues of an embedded run, and whether they are a file's: else one of this host's size."""
    path = find(settings.queues or None, Path.cwd())
    if path != PACKAGED:
        return QueueFile(path), True
    own = (host_queue(budget_of(settings)),)
    return lambda: own, False


def given_queues(limits: Sequence[QueueLimits]) -> tuple[Queues, bool]:
    """Return the queues that an embedded run was submitted with, as :func:`local_queues` does."""
    own = tuple(limits)
    return lambda: own, [queue.name for queue in own] != [HOST_QUEUE]


def budget_of(settings: Settings) -> Budget:
    """Return what this host may give to steps."""
    named: dict[str, list[str] | None] = {"auto": None, "none": []}
    gpus = named.get(settings.host_gpus, settings.host_gpus.replace(",", " ").split())
    return host_budget(cpus=settings.host_cpus, ram=settings.host_ram, gpus=gpus)


def host_slots(
    settings: Settings, jobs: JobRunner, budget: Budget, *, worker: str = "", cap: int | None = None, bounded: bool
) -> Slots:
    """Return this host's slots as one worker sees them, ``cap`` at most its own.

    Raises :class:`~celeriac.errors.SettingsError` where their directory can't be made or trusted.
    """
    owners.prepare(settings.slots_directory)
    return HostSlots(
        settings.slots_directory,
        budget,
        worker=worker,
        cap=cap,
        enforce=bounded,
        clear=lambda name: False not in [jobs.clear(attempt) for attempt in attempts_of(name)],
        lease=settings.lease,
        guard=lambda: reaper.ensure(settings),
    )


def job_runner(settings: Settings) -> JobRunner:
    """Return what runs jobs; neither engine nor process is touched before the first job."""
    reach = failpoints(settings.failpoints)

    def containers() -> Runner:
        from celeriac.container.docker import DockerRunner

        return DockerRunner(settings.docker_host or None, lock_directory=settings.home / "locks", reach=reach)

    def processes() -> Runner:
        from celeriac.container.process import ProcessRunner

        return ProcessRunner(reach=reach)

    return JobRunner(containers, processes, MemorySigns(settings.oom_codes, settings.oom_words))


def assemble(
    app: Any,
    settings: Settings,
    queues: Queues,
    *,
    slots: Slots | None = None,
    jobs: JobRunner | None = None,
    limited: bool = True,
    fair: bool = True,
    at_once: int | None = None,
    keeps: bool = False,
    on_end: Callable[[str], None] | None = None,
    on_steps_end: Callable[[str], None] | None = None,
) -> Engine:
    """Put an engine together and hang it on its Celery app."""
    install()
    engine = Engine(
        settings,
        queues,
        CeleryPublisher(app, lambda queue: _know(app, queue, queues)),
        jobs or job_runner(settings),
        slots=slots,
        limited=limited,
        fair=fair,
        at_once=at_once,
        keeps=keeps,
        on_end=on_end,
        on_steps_end=on_steps_end,
    )
    app.celeriac = engine
    return engine


def _know(app: Any, name: str, queues: Queues) -> None:
    """Have the app know a queue that came into the file after its start: else it would refuse to send there."""
    if name not in app.amqp.queues:
        limits = [limit for limit in queues() if limit.name == name]
        for queue in _declared(limits, name, str(app.conf.broker_url)):
            app.amqp.queues.add(queue)


def _declared(limits: Sequence[QueueLimits], name: str, broker: str) -> Sequence[Queue]:
    # a run keeps to the queues of its submit: this one may be gone from the file by now
    return task_queues(limits or [QueueLimits(name, cpus=1, ram=1)], quorum=is_rabbitmq(broker))[1:]
