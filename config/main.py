"""The command `celeriac`: the command line with the application's own runtime behind it."""

from __future__ import annotations

import atexit
import gc
import os
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
        """Return an engine with a worker of its own (Embedded); ``queues``: those of a run submitted before."""
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
    # what a command makes at its start stays, and the collector would look through it again and again
    gc.set_threshold(200_000)
    leaving = _Leaving()
    atexit.register(leaving)  # the first that is registered is the last that is called
    from celeriac.cli.main import main as run

    leaving.code = run(sys.argv[1:] if argv is None else argv, Runtime())
    return leaving.code


class _Leaving:
    """Ends the process when all threads and all that wants to know of the end are through.

    Python would take apart every module and object first, which takes as long as a tenth of a short run.
    """

    code: int | None = None  # None: it ends by an exception

    def __call__(self) -> None:
        """Leave, unless something that was printed can't be written: Python has an exit code for that."""
        if self.code is None:
            return
        try:
            for stream in (sys.stdout, sys.stderr):
                if stream is not None:
                    stream.flush()
        except (OSError, ValueError):
            return
        os._exit(self.code)


if __name__ == "__main__":
    sys.exit(main())
