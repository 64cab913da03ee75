"""What all routes share: engine, settings, and the rules that follow from them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from fastapi import Request

from celeriac.access import Access
from celeriac.errors import SettingsError
from celeriac.job.options import RunOptions

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine
    from celeriac.settings import Settings

#: Where a run's own directory has its attachments.
UPLOADS = "uploads"
#: How outputs may be shown.
_OUTPUTS = ("url", "file")


class Service:
    """One an app. ``loads`` bounds how many documents are loaded at a time: other requests are not held up."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        if settings.api_outputs not in _OUTPUTS:
            raise SettingsError(f"CELERIAC_API_OUTPUTS is {settings.api_outputs!r}, but url or file was expected")
        self.engine = engine
        self.settings = settings
        self.loads = CapacityLimiter(settings.api_loads)
        #: By workflow, with what its file was like: to load it takes long.
        self.steps: dict[str, tuple[Any, list[str]]] = {}
        self.workflows = Path(settings.api_workflows).expanduser().absolute() if settings.api_workflows else None

    @property
    def usual(self) -> RunOptions:
        """The options of a run that asks for none."""
        return RunOptions(eval_timeout=self.settings.eval_timeout)

    def usual_outside(self, directory: Path, access: Access) -> RunOptions:
        """Return the same for a run whose files are in a directory, and which may reach no more than ``access``."""
        return replace(self.usual, basedir=str(directory), access=access.to_json())

    def uploads(self, run: str) -> Path:
        """Return where a run's attachments go: into its own directory, so that they end with it."""
        return self.settings.runs / run / UPLOADS

    def outputs(self, row: Any) -> Path:
        """Return the directory of a run's outputs; ``row`` has its id and options."""
        options = self.engine.options(row.id, row.options)
        return Path(options.outdir) if options.outdir else self.engine.directory(row.id, options) / "outputs"

    def access(self, run: str) -> Access:
        """Return what a run from outside may reach."""
        own = [self.uploads(run)] + ([self.workflows] if self.workflows else [])
        return Access.of(self.settings, own)

    @property
    def places(self) -> dict[str, str]:
        """Directories of this host, and what they are for callers: messages never name where they are."""
        here = os.getcwd()
        found = {here: "the server's directory"} if len(here) > 1 else {}
        if self.workflows:
            found[str(self.workflows)] = "the workflows"
        return found | {str(self.settings.home): "the home"}

    def base(self, request: Request) -> str:
        """Return the address under which a client reaches this server, without a slash at its end."""
        return (self.settings.api_url or str(request.base_url)).rstrip("/")


def of(request: Request) -> Service:
    """Return the app's service."""
    service: Service = request.app.state.service
    return service
