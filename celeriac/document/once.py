"""What several steps of a document run, loaded once.

cwltool reads, checks and builds a tool again for every step that runs it, and goes through a file with a
``$graph`` again for every one of its steps. The result is the same each time, so a document of a thousand
steps loads many times faster when it is kept. It also copies, for each step, the lines of all of them.
:func:`install` puts what does so less often in the place of the functions that it calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from cwltool import workflow
from cwltool.context import LoadingContext
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document
from cwltool.process import Process
from ruamel.yaml.comments import LineCol

from celeriac.document.fetch import read_quickly

_cwltool_s: Any = vars(workflow)["load_tool"]


class Loading(LoadingContext):
    """What one document is loaded with. cwltool copies it for each step, and what was loaded goes along."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.files: dict[str, tuple[LoadingContext, str]] = {}  # reference -> its context and URI
        self.processes: dict[str, list[_Built]] = {}  # by URI


@dataclass(frozen=True)
class _Built:
    requirements: Sequence[Any]  # that it got from around it
    hints: Sequence[Any]
    process: Process


def install() -> None:
    """Have cwltool use what is kept; to do it twice is the same as once."""
    setattr(workflow, "load_tool", _load_tool)  # noqa: B010
    setattr(LineCol, "__deepcopy__", _same_place)  # noqa: B010


def _same_place(place: LineCol, memo: Any) -> LineCol:
    """Copy where in a file something is: that never changes, and the lines of all steps are in that of each."""
    copy = LineCol()
    vars(copy).update(vars(place))
    return copy


def _load_tool(reference: Any, context: LoadingContext | None = None) -> Process:
    """Load what a step runs, as cwltool's ``load_tool``."""
    if not isinstance(context, Loading) or not isinstance(reference, str):
        return cast(Process, _cwltool_s(reference, context))
    if reference not in context.files:
        assert context.loader is not None
        read_quickly(context.loader, reference)
        opened, source, uri = fetch_document(reference, context)
        context.files[reference] = resolve_and_validate_document(opened, source, uri)
    found, uri = context.files[reference]
    known = context.processes.setdefault(uri, [])
    requirements, hints = context.requirements or [], context.hints or []
    for built in known:
        if built.requirements == requirements and built.hints == hints:
            return built.process
    own = context.copy()
    own.loader, own.avsc_names, own.metadata, own.jobdefaults = (
        found.loader, found.avsc_names, found.metadata, found.jobdefaults,
    )  # fmt: skip
    made = make_tool(uri, own)
    known.append(_Built(requirements, hints, made))
    return made
