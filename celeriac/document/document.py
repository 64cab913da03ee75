"""A loaded document: its snapshot, its graph, and cwltool's process of each of its tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from celeriac.document.snapshot import Snapshot
from celeriac.graph.model import Process as GraphProcess

if TYPE_CHECKING:
    from cwltool.process import Process


class Tools(Protocol):
    """The processes of a document."""

    def at(self, step: str) -> Process:
        """Return the process at a step path such as ``align/sort``; the empty path is the root."""


@dataclass
class Document:
    """A loaded document."""

    snapshot: Snapshot
    graph: GraphProcess  # ours: pure values
    tools: Tools  # cwltool's
    defaults: dict[str, Any] = field(default_factory=dict)  # inputs of a job file with `cwl:tool`
    faultless: bool = True  # nothing was complained of, and all that it refers to was there

    @property
    def hash(self) -> str:
        """The document's name."""
        return self.snapshot.hash

    @property
    def process(self) -> Process:
        """The process to run."""
        return self.tools.at("")

    def tool(self, step: str) -> Process:
        """Return the process at a step path such as ``align/sort``; the empty path is the root."""
        return self.tools.at(step)
