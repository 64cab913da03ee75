"""Where the secret values of a run are while it lasts: a file of this user's alone, under the home that hosts share.

The journal, messages and the run's directory have placeholders. The file is not in the run's directory, so that
nothing a run may name as its own file leads to it. It goes when the run ends.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.document import own_files
from celeriac.errors import NotFoundError
from celeriac.job.options import RunOptions
from celeriac.job.secret import Secrets

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


def keep(engine: Engine, run: str, secrets: Secrets) -> None:
    """Keep a run's secret values."""
    path = _path(engine, run)
    own_files.write(path, json.dumps(dict(secrets.values)).encode())  # mode 0600, in a directory of mode 0700
    os.chmod(path.parent, 0o700)


def of(engine: Engine, run: str, options: RunOptions) -> Secrets | None:
    """Return a run's secret values; None: it has none.

    Raises :class:`~celeriac.errors.NotFoundError` where they are not here.
    """
    if not options.secrets:
        return None
    path = _path(engine, run)
    try:
        return Secrets(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise NotFoundError(
            f"the secret values of run {run} are not there: they are removed when a run ends",
            hint=f"submit it anew; while a run lasts, {path.parent} has to be the same for all hosts",
        ) from error


def forget(engine: Engine, run: str, options: RunOptions) -> None:
    """Remove a run's secret values, if it has any."""
    if options.secrets:
        with suppress(OSError):
            _path(engine, run).unlink()


def _path(engine: Engine, run: str) -> Path:
    return engine.settings.home / "secrets" / f"{run}.json"
