"""Where a plain process finds its inputs: each in a directory of its own, as few of them as will do."""

from __future__ import annotations

import os
from collections.abc import MutableSequence
from typing import Any

from cwltool.pathmapper import PathMapper


class InputMapper(PathMapper):
    """Maps inputs as cwltool does, but a single one into the staging directory itself.

    A directory costs more to make than the link in it. Several inputs must not lie beside each other: tools
    look for files that belong to an input next to it.
    """

    def setup(self, referenced_files: MutableSequence[Any], basedir: str) -> None:
        """Give each file its target, and the files that belong to it the same directory."""
        alone = not referenced_files or {one["location"] for one in referenced_files} <= _with_it(referenced_files[0])
        for number, one in enumerate(referenced_files):
            own = self.separateDirs and not alone
            directory = os.path.join(self.stagedir, str(number)) if own else self.stagedir
            self.visit(one, directory, basedir, copy=bool(one.get("writable")), staged=True)


def _with_it(file: Any) -> set[str]:
    """Return where a file and all that belongs to it are."""
    return {file["location"]}.union(*map(_with_it, file.get("secondaryFiles", ())))
