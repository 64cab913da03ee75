"""Load a CWL document with cwltool, from its files or from its snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cwltool.context import LoadingContext
from cwltool.load_tool import default_loader, fetch_document, make_tool, resolve_and_validate_document, resolve_tool_uri
from cwltool.process import Process
from cwltool.resolver import resolve_local
from cwltool.workflow import Workflow, default_make_tool

from celeriac.document import once
from celeriac.document.bounds import check_steps
from celeriac.document.complaints import noted
from celeriac.document.document import Document
from celeriac.document.faults import check_source, display, translate_error
from celeriac.document.fetch import read_quickly
from celeriac.document.schemas import SchemaCache
from celeriac.document.snapshot import Recorder, Snapshot, replay
from celeriac.errors import CeleriacError, DocumentError
from celeriac.graph.check import check
from celeriac.graph.translate import short, translate

if TYPE_CHECKING:
    from celeriac.document.outside import Outside


class _Loaded:
    """The processes of a document, as cwltool made them."""

    def __init__(self, root: Process) -> None:
        self._root = root
        self._tools: dict[str, Process] = {}  # by step path, as they are asked for
        self._inner: dict[str, dict[str, Process]] = {}  # by a workflow's path, then step

    def at(self, step: str) -> Process:
        found = self._tools.get(step)
        if found is None:
            scope, _, name = step.rpartition("/")
            found = self._tools[step] = self._steps(scope)[name] if step else self._root
        return found

    def _steps(self, scope: str) -> dict[str, Process]:
        found = self._inner.get(scope)
        if found is None:
            workflow: Any = self.at(scope)
            found = self._inner[scope] = {short(step.id): step.embedded_tool for step in workflow.steps}
        return found


def load(
    reference: str,
    overrides: list[Any] | None = None,
    schemas: SchemaCache | None = None,
    targets: Sequence[str] = (),
    outside: Outside | None = None,
) -> Document:
    """Load what ``reference`` names: a path or URL, with a ``#fragment`` or not.

    ``outside``: it is somebody else's, and read by the rules for those. Raises
    :class:`~celeriac.errors.DocumentError`, :class:`~celeriac.errors.UnsupportedError`,
    :class:`~celeriac.errors.AccessError`.
    """
    recorder = Recorder(outside)
    context = loading_context(recorder.fetcher, overrides or [])
    try:
        if outside is not None:
            reference = outside.uri(reference)
            context.skip_schemas = True  # ontologies, whose readers fetch by themselves
        uri, _ = resolve_tool_uri(reference, resolver=resolve_local, fetcher_constructor=recorder.fetcher)
        with noted() as complaints:
            context, process = _load(uri, context, schemas, targets)
            graph = translate(process)
        if outside is not None:
            check_steps(graph)
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
    faultless = not complaints and not recorder.missed
    return Document(snapshot, graph, _Loaded(process), dict(context.jobdefaults or {}), faultless)


def load_snapshot(snapshot: Snapshot, schemas: SchemaCache | None = None) -> Document:
    """Load a document from its snapshot alone."""
    context = loading_context(replay(snapshot), list(snapshot.overrides))
    try:
        with noted() as complaints:
            _, process = _load(snapshot.uri, context, schemas, snapshot.targets)
    except CeleriacError:
        raise
    except Exception as error:
        raise translate_error(error, snapshot.uri) from error
    return Document(snapshot, translate(process), _Loaded(process), faultless=not complaints)


def loading_context(fetcher: Any, overrides: list[Any]) -> LoadingContext:
    """Return how we have cwltool load documents."""
    return once.Loading(
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
) -> tuple[LoadingContext, Process]:
    if schemas is not None:
        schemas.install()
        once.install()
    context.loader = default_loader(context.fetcher_constructor)
    if context.skip_schemas:
        setattr(context.loader, "skip_schemas", True)  # noqa: B010  # default_loader has no word for it
    read_quickly(context.loader, uri)
    context, source, uri = fetch_document(uri, context)
    check_source(source, uri)
    if context.skip_schemas and "cwl:tool" in source:
        raise DocumentError("this is a job file with cwl:tool: a CWL document was expected")
    context, uri = resolve_and_validate_document(context, source, uri)
    _aim_requirements(context, uri)
    process = make_tool(uri, context)
    if targets:
        process = _only(process, targets, context)
    if schemas is not None:
        schemas.save()
    return context, process


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
