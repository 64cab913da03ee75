"""What a host's reaper becomes when a worker has died: it knows the container engine, and has a log.

Started by ``queues/reaper.py``, as which it goes on once nothing is left of the dead.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from celeriac.errors import CeleriacError
from celeriac.settings import Settings
from celeriac.slots import attempts_of
from queues import guard

log = logging.getLogger(__name__)

#: The reaper's log, in the home directory; written to when something was left of a dead worker.
LOG = "reaper.log"
_START = "import sys; sys.path.insert(0, sys.argv[1]); from config.reaper import main; main(sys.argv[2:])"


def ensure(settings: Settings) -> None:
    """See to it that the host of this process has a reaper; returns at once."""
    try:
        guard.ensure(settings.slots_directory, _command(settings))
    except OSError as error:
        log.warning("what a dead worker leaves is ended by other workers alone: no reaper can be started: %s", error)


def _command(settings: Settings) -> list[str]:
    root = str(Path(__file__).parents[1])
    told = (str(settings.slots_directory), str(settings.home), settings.docker_host, str(settings.lease))
    return [sys.executable, "-c", _START, root, *told]


def main(words: list[str]) -> None:
    """End what dead workers left, then watch again."""
    from celeriac.container.docker import DockerRunner
    from celeriac.container.leftovers import clear
    from celeriac.container.process import ProcessRunner
    from queues.reaping import reap
    from queues.remains import Remains

    directory, home, docker, lease, lock = words
    settings = Settings(home=Path(home), docker_host=docker, lease=float(lease), slots_dir=directory)
    _log_to(settings.home)
    processes, containers = ProcessRunner(), DockerRunner(docker or None)

    def cleared(name: str) -> bool:
        return False not in [clear(one, lambda: processes, lambda: containers) for one in attempts_of(name)]

    remains = Remains(cleared, settings.lease)
    try:
        reap(settings.slots_directory, remains)
    except CeleriacError as error:
        log.warning("the reaper ends, a worker starts another one soon: %s", error)
        return
    os.set_inheritable(int(lock), True)
    again = guard.words(settings.slots_directory, _command(settings), int(lock))
    os.execv(again[0], again)


def _log_to(home: Path) -> None:
    file: logging.Handler = logging.FileHandler(home / LOG, delay=True) if home.is_dir() else logging.NullHandler()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING, handlers=[file])
