"""A document that was loaded and validated, as JSON: it comes back without schemas, and its tools one by one."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from celeriac.document import graph_json
from celeriac.document.document import Document
from celeriac.document.places import Reader, Writer
from celeriac.document.remake import remake
from celeriac.document.snapshot import Snapshot
from celeriac.graph.model import Process as GraphProcess

if TYPE_CHECKING:
    from cwltool.process import Process


#: What is asked of a file's metadata once it is loaded; the rest is the whole file again.
_METADATA = ("cwlVersion", "http://commonwl.org/cwltool#original_cwlVersion", "$namespaces")


class CannotKeep(Exception):
    """The document has something that JSON or this module does not know."""


def to_json(document: Document) -> dict[str, Any]:
    """Return a document; raises :class:`CannotKeep`."""
    if document.defaults:
        raise CannotKeep
    parts = _Parts(document)
    root = parts.add("", document.graph)
    return {"root": root, "processes": parts.processes, "files": parts.places.files, "lines": parts.places.lines}


def from_json(data: dict[str, Any], snapshot: Snapshot) -> Document:
    """Return the document of :func:`to_json`."""
    tools = KeptTools(data)
    return Document(snapshot, tools.graph, tools)


class _Parts:
    """Takes a document apart; the processes that several steps share are kept once."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._numbers: dict[tuple[int, int], int] = {}
        self.processes: list[Any] = []
        self.places = Writer()

    def add(self, path: str, graph: GraphProcess) -> int:
        """Keep a process and all that is in it; returns its number, which is above theirs."""
        process = self._document.tool(path)
        key = (id(process), id(graph))
        if key not in self._numbers:
            steps = (graph.steps or {}).items()
            inner = {name: self.add(f"{path}/{name}" if path else name, step.process) for name, step in steps}
            own = graph_json.process_to_json(graph, inner.__getitem__)
            self._numbers[key] = len(self.processes)
            self.processes.append({"graph": own, **self._made_of(process)})
        return self._numbers[key]

    def _made_of(self, process: Process) -> dict[str, Any]:
        """Return what cwltool makes a process of."""
        tool = process.tool.copy()
        tool.pop("steps", None)  # they have their own
        value = {
            "tool": tool,
            "requirements": _inherited(process.requirements, tool.get("requirements")),
            "hints": _inherited(process.hints, tool.get("hints")),
            "metadata": {name: process.metadata[name] for name in _METADATA if name in process.metadata},
        }
        return {"made_of": value, "places": self.places.places(value)}


def _inherited(all_of_them: list[Any], own: list[Any] | None) -> list[Any]:
    """Return the requirements or hints that a process has from around it."""
    number = len(all_of_them) - len(own or ())
    if all_of_them[number:] != (own or []):
        raise CannotKeep
    return all_of_them[:number]


class KeptTools:
    """Makes a document's processes, when they are asked for."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._processes = data["processes"]
        self._root = data["root"]
        self._reader = Reader(data["files"], data["lines"])
        self._made: dict[int, Process] = {}
        self._making = threading.Lock()
        graphs: list[GraphProcess] = []
        for one in self._processes:
            graphs.append(graph_json.process_from_json(one["graph"], graphs.__getitem__))
        self.graph = graphs[self._root]

    def at(self, step: str) -> Process:
        number = self._root
        for name in step.split("/") if step else ():
            number = self._processes[number]["graph"]["steps"][name]["process"]
        with self._making:
            if number not in self._made:
                self._made[number] = self._make(self._processes[number])
            return self._made[number]

    def _make(self, one: dict[str, Any]) -> Process:
        value = self._reader.value(one["made_of"], one["places"])
        return remake(value["tool"], value["requirements"], value["hints"], value["metadata"])
