"""The queues that `celery worker -Q` names: a wrong name is refused by one message, not a traceback."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

from celery.utils.text import str_to_list

from celeriac.errors import UsageError
from celeriac.settings import Settings
from queues.find import find


def check(conf: Any, options: Any, **rest: Any) -> None:
    """End the worker that was asked for a queue that is none (exit code 1); for ``celeryd_init``."""
    known = [queue.name for queue in conf.task_queues]
    for option in ("queues", "exclude_queues"):
        for name in str_to_list(options.get(option)) or ():
            if name not in known:
                sys.exit(f"celeriac: error: {_unknown(name, known)}")


def _unknown(name: str, known: list[str]) -> UsageError:
    like = difflib.get_close_matches(name, known, 1)
    maybe = f": did you mean {like[0]!r}?" if like else ""
    path = find(Settings.load().queues or None, Path.cwd())
    return UsageError(f"there is no queue {name!r}{maybe}", hint=f"{path} has {', '.join(known[1:])}")
