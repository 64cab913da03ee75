"""A submit from outside: what can be told of a run before it starts is checked here, the rest by its workers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celeriac.access import Access
from celeriac.document import inputs as jobs
from celeriac.document.document import Document
from celeriac.document.outside import Outside
from celeriac.errors import AccessError
from celeriac.graph.model import Kind
from celeriac.job.fence import Fence, FencedFiles
from celeriac.job.options import RunOptions
from celeriac.job.permits import check_tool
from celeriac.settings import Settings

#: Directories among the options that something is written to.
_WRITTEN = ("outdir", "scratch", "log_dir", "cachedir")
#: Options that would let a tool out of its container, or the operator's environment into it: option -> what it has
#: to be.
_FIXED: Mapping[str, Any] = {
    "use_container": True,
    "match_user": True,
    "read_only": True,
    "custom_network": None,
    "preserve_environment": (),
    "preserve_entire_environment": False,
    "secrets": (),
}


class Checked:
    """A run's options with an access, checked; raises :class:`~celeriac.errors.AccessError`."""

    def __init__(self, settings: Settings, options: RunOptions) -> None:
        assert options.access is not None
        self._access = Access.from_json(options.access)
        fence = Fence(self._access, ())
        if options.basedir:
            fence.path(options.basedir)
        for directory in filter(None, (getattr(options, name) for name in _WRITTEN)):
            fence.output(directory)
        for name, wanted in _FIXED.items():
            if getattr(options, name) != wanted:
                raise AccessError(f"the option {name} is not for runs from outside")
        self.options = replace(options, eval_timeout=min(options.eval_timeout, settings.eval_timeout))
        self.rules = Outside(self._access)
        self.files = FencedFiles(fence)

    def job(self, values: Mapping[str, Any], document_uri: str) -> jobs.Job:
        """Return the job; relative paths start at the first directory that is allowed, unless an option says where."""
        base = self.options.basedir or next(iter(self._access.roots), "/")
        return jobs.from_mapping(values, document_uri, os.path.abspath(base), self.rules)

    def tools(self, document: Document) -> None:
        """Check all tools of a document."""
        seen: set[int] = set()
        for path, process in document.graph.walk():
            if process.kind is Kind.TOOL and id(process) not in seen:
                seen.add(id(process))
                check_tool(document.tool(path), self.options, self._access, path or process.name)
