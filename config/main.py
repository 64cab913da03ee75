"""The command `celeriac`: the command line with the application's own runtime behind it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from celeriac.resources import Budget, QueueLimits
from celeriac.settings import EMBEDDED, Settings


class Runtime:
    """Gives the command line what only the application has. Nothing is imported before it is needed."""

    def embedded(
        self, settings: Settings, on_end: Callable[[str], None], queues: Sequence[QueueLimits] | None = None
    ) -> AbstractContextManager[Any]:
        """Return an engine with a worker in this process; ``queues``: those of a run that was submitted before."""
        from config.embedded import running

        return running(settings, on_end, queues)

    def is_embedded(self, settings: Settings) -> bool:
        """Whether `celeriac run` works alone rather than with the workers of a broker."""
        return settings.broker_url in ("", EMBEDDED)

    def engine(self, settings: Settings) -> Any:
        """Return an engine that publishes to the broker's workers."""
        from celery import Celery

        from config.celery_settings import cluster
        from config.composition import assemble, cluster_queues

        queues = cluster_queues(settings)
        app = Celery("celeriac")
        app.set_default()  # for all threads: the current app is one a thread
        app.conf.update(cluster(settings, queues()))
        return assemble(app, settings, queues)

    def queues(self, settings: Settings) -> tuple[Path, Sequence[QueueLimits]]:
        """Return the queue file that workers and clients use here, and its queues."""
        from queues.find import find

        path = find(settings.queues or None, Path.cwd())
        return path, self.check_queues(path)

    def check_queues(self, path: Path) -> Sequence[QueueLimits]:
        """Return the queues of a file; raises :class:`~celeriac.errors.QueueFileError`."""
        from queues.file import load

        return load(path)

    def reach_broker(self, settings: Settings) -> None:
        """Return when the broker answers; raises :class:`~celeriac.errors.BrokerUnavailable`."""
        from config.broker import reach

        reach(settings)

    def depths(self, settings: Settings, names: Iterable[str]) -> Mapping[str, Any]:
        """Return what waits in the broker's queues and who serves them; raises as :meth:`reach_broker`."""
        from config.broker import depths

        return depths(settings, names)

    def holds(self, budget: Budget, queue: QueueLimits) -> int:
        """Return how many steps that use all of a queue's limits a host's budget holds at once."""
        from queues.budget import slots

        return slots(budget, queue)


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns its exit code."""
    from celeriac.cli.main import main as run

    return run(sys.argv[1:] if argv is None else argv, Runtime())


if __name__ == "__main__":
    sys.exit(main())
