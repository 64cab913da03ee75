"""Load a CWL document with cwltool: once a process and document, by content hash."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cwltool.context import LoadingContext
from cwltool.load_tool import default_loader, fetch_document, make_tool, resolve_and_validate_document, resolve_tool_uri
from cwltool.process import Process
from cwltool.resolver import resolve_local
from cwltool.workflow import Workflow, default_make_tool

from celeriac.document.faults import check_source, display, translate_error
from celeriac.document.fetch import read_quickly
from celeriac.document.once import Loading
from celeriac.document.schemas import SchemaCache
from celeriac.document.snapshot import Recorder, Snapshot, replay
from celeriac.errors import CeleriacError, DocumentError
from celeriac.graph.check import check
from celeriac.graph.model import Process as GraphProcess
from celeriac.graph.translate import short, translate

log = logging.getLogger(__name__)


@dataclass
class Document:
    """A loaded document."""

    snapshot: Snapshot
    process: Process  # cwltool's
    graph: GraphProcess  # ours: pure values
    defaults: dict[str, Any] = field(default_factory=dict)  # inputs of a job file with `cwl:tool`
    context: LoadingContext | None = None
    source: Any = None  # the main file as it was read, for --pack and the like
    _tools: dict[str, Process] = field(default_factory=dict, repr=False)  # by step path, as they are asked for
    _inner: dict[str, dict[str, Process]] = field(default_factory=dict, repr=False)  # by a workflow's path, then step

    @property
    def hash(self) -> str:
        """The document's name."""
        return self.snapshot.hash

    def tool(self, step: str) -> Process:
        """Return the process at a step path such as ``align/sort``; the empty path is the root."""
        found = self._tools.get(step)
        if found is None:
            scope, _, name = step.rpartition("/")
            found = self._steps(scope)[name] if step else self.process
            self._tools[step] = found
        return found

    def _steps(self, scope: str) -> dict[str, Process]:
        """Return the processes of a workflow's steps by their names."""
        found = self._inner.get(scope)
        if found is None:
            workflow: Any = self.tool(scope)
            found = self._inner[scope] = {short(step.id): step.embedded_tool for step in workflow.steps}
        return found


def load(
    reference: str,
    overrides: list[Any] | None = None,
    schemas: SchemaCache | None = None,
    targets: Sequence[str] = (),
) -> Document:
    """Load what ``reference`` names: a path or URL, with a ``#fragment`` or not.

    Raises :class:`~celeriac.errors.DocumentError`, :class:`~celeriac.errors.UnsupportedError`.
    """
    recorder = Recorder()
    context = loading_context(recorder.fetcher, overrides or [])
    try:
        uri, _ = resolve_tool_uri(reference, resolver=resolve_local, fetcher_constructor=recorder.fetcher)
        source, context, process = _load(uri, context, schemas, targets)
        graph = translate(process)
        check(graph)
    except CeleriacError as error:
        error.where = error.where or display(reference)
        raise
    except Exception as error:
        raise translate_error(error, reference, recorder.last) from error
    snapshot = Snapshot(
        uri=uri,
        texts=recorder.texts,
        exists=recorder.exists,
        overrides=context.overrides_list,
        targets=list(targets),
    )
    return Document(snapshot, process, graph, dict(context.jobdefaults or {}), context, source)


def load_snapshot(snapshot: Snapshot, schemas: SchemaCache | None = None) -> Document:
    """Load a document from its snapshot alone."""
    context = loading_context(replay(snapshot), list(snapshot.overrides))
    try:
        source, context, process = _load(snapshot.uri, context, schemas, snapshot.targets)
    except CeleriacError:
        raise
    except Exception as error:
        raise translate_error(error, snapshot.uri) from error
    return Document(snapshot, process, translate(process), {}, context, source)


def loading_context(fetcher: Any, overrides: list[Any]) -> LoadingContext:
    """Return how we have cwltool load documents."""
    return Loading(
        {
            "construct_tool_object": default_make_tool,
            "disable_js_validation": True,  # it would start node; our engine reports its own errors
            "relax_path_checks": True,
            "resolver": resolve_local,
            "fetcher_constructor": fetcher,
            "overrides_list": overrides,
            "strict": True,
            "do_update": True,
        }
    )


def _load(
    uri: str, context: LoadingContext, schemas: SchemaCache | None, targets: Sequence[str]
) -> tuple[Any, LoadingContext, Process]:
    if schemas is not None:
        schemas.install()
    context.loader = default_loader(context.fetcher_constructor)
    read_quickly(context.loader, uri)
    context, source, uri = fetch_document(uri, context)
    check_source(source, uri)
    context, uri = resolve_and_validate_document(context, source, uri)
    _aim_requirements(context, uri)
    process = make_tool(uri, context)
    if targets:
        process = _only(process, targets, context)
    if schemas is not None:
        schemas.save()
    return source, context, process


def _aim_requirements(context: LoadingContext, uri: str) -> None:
    """Aim a job's `cwl:requirements` at the process to run, which has its name only now."""
    assert context.loader is not None
    found = context.loader.resolve_ref(uri)[0]
    main = uri + "#main" if isinstance(found, list) else uri
    for entry in context.overrides_list:
        if entry.pop("cwl", False):
            entry["overrideTarget"] = main
            if context.metadata.get("http://commonwl.org/cwltool#original_cwlVersion") == "v1.0":
                raise DocumentError(
                    "the job has `cwl:requirements`, which CWL v1.0 does not know",
                    hint="use cwltool:overrides, or cwlVersion v1.1 or newer",
                )


def _only(process: Process, targets: Sequence[str], context: LoadingContext) -> Process:
    """Return the part of a workflow that the targets need."""
    from cwltool.subgraph import get_subgraph

    if not isinstance(process, Workflow):
        raise DocumentError("--target picks steps or outputs of a workflow, but the document is a tool")
    base = process.tool["id"]
    join = base + "/" if "#" in base else base + "#"
    known = {port["id"] for field in ("inputs", "outputs", "steps") for port in process.tool[field]}
    for target in targets:
        if join + target not in known:
            names = ", ".join(sorted(short(name) for name in known))
            raise DocumentError(f"--target {target} is no step, input or output", hint=f"there are {names}")
    extracted = get_subgraph([join + target for target in targets], process, context)
    assert context.loader is not None
    context.loader.idx[extracted["id"]] = extracted
    return make_tool(extracted["id"], context)


class DocumentCache:
    """Loaded documents by hash, the most recent few; loading is one at a time (cwltool's caches)."""

    def __init__(self, schemas: SchemaCache | None = None, size: int = 16) -> None:
        self._schemas = schemas
        self._size = size
        self._lock = threading.Lock()
        self._documents: OrderedDict[str, Document] = OrderedDict()

    def load(self, reference: str, overrides: list[Any] | None = None, targets: Sequence[str] = ()) -> Document:
        """Load from the source and keep it. Raises as :func:`load`."""
        with self._lock:
            document = load(reference, overrides, self._schemas, targets)
            return self._keep(document)

    def get(self, name: str, body: Any) -> Document:
        """Return the document called ``name``; ``body()`` gives its snapshot's text if it is not here."""
        found = self._documents.get(name)
        if found is not None:
            return found
        with self._lock:
            if name in self._documents:
                return self._documents[name]
            return self._keep(load_snapshot(Snapshot.from_body(body()), self._schemas))

    def _keep(self, document: Document) -> Document:
        self._documents[document.hash] = document
        while len(self._documents) > self._size:
            self._documents.popitem(last=False)
        return document
