"""Translate a loaded document (cwltool's Process objects, by attribute only) into the graph's values."""

from __future__ import annotations

import math
import urllib.parse
from collections import Counter
from typing import Any

from celeriac.errors import DocumentError
from celeriac.graph.model import MISSING, Kind, Port, Process, Retry, Step

_KINDS = {
    "CommandLineTool": Kind.TOOL,
    "ExpressionTool": Kind.EXPRESSION,
    "Operation": Kind.OPERATION,
    "Workflow": Kind.WORKFLOW,
}

_ORIGINAL = "http://commonwl.org/cwltool#original_cwlVersion"

#: cwltool's hint that names inputs with secret values, in a document that declares its namespace and in others.
_SECRETS = frozenset({"http://commonwl.org/cwltool#Secrets", "cwltool:Secrets"})

#: The namespace of Celeriac's own hints: `$namespaces: {celeriac: "urn:celeriac:"}` in a document.
NAMESPACE = "urn:celeriac:"


def short(identifier: str) -> str:
    """Return the last part of a CWL identifier: ``file:///x.cwl#main/align/out`` -> ``out``."""
    fragment = identifier.partition("#")[2]
    return (fragment or urllib.parse.urlparse(identifier).path).rpartition("/")[2]


def translate(process: Any) -> Process:
    """Return the graph's value of a cwltool ``Process``, with all that it contains."""
    known = _Known()
    _note_versions(process, known)
    return _translate(process, known, "v1.2")


class _Known:
    """What is known of a document's parts. Steps that run the same may share a process: it is looked at once."""

    def __init__(self) -> None:
        self.noted: set[int] = set()  # processes, by their identity
        self.versions: dict[str, str] = {}  # of each file
        self.translated: dict[tuple[int, str], Process] = {}


def _note_versions(process: Any, known: _Known) -> None:
    """Note the CWL version of each file: cwltool, which updates files in place, knows it at the first load only.

    What a file is updated to is newer than what any file can be.
    """
    if id(process) in known.noted:
        return
    known.noted.add(id(process))
    file, version = _file(process), process.metadata.get(_ORIGINAL)
    if file and version:
        known.versions[file] = min(version, known.versions.get(file, version))
    for step in getattr(process, "steps", ()):
        _note_versions(step.embedded_tool, known)


def _file(process: Any) -> str:
    """Return the URI of the file that a process is in; empty for one without a name, which is in its parent's."""
    return str(urllib.parse.urldefrag(process.tool["id"])[0]) if "://" in process.tool["id"] else ""


def _translate(process: Any, known: _Known, version: str) -> Process:
    """Translate a process; ``version`` is that of the file around it."""
    version = known.versions.get(_file(process), version)
    found = known.translated.get((id(process), version))
    if found is None:
        found = known.translated[id(process), version] = _translated(process, known, version)
    return found


def _translated(process: Any, known: _Known, version: str) -> Process:
    tool = process.tool
    kind = _KINDS.get(tool["class"])
    if kind is None:
        raise DocumentError(f"{tool.get('id', 'the document')} is of class {tool['class']}, which can't be run")
    for field in ("inputs", "outputs", "steps"):
        _check_unique(tool.get(field, ()), field)
    steps: dict[str, Step] | None = None
    outputs: tuple[Port, ...] = ()
    if kind is Kind.WORKFLOW:
        sources = _source_names(process)
        steps = _steps(process, sources, known, version)
        outputs = tuple(_out_port(port, sources) for port in tool["outputs"])
    return Process(
        kind=kind,
        name=short(tool["id"]),
        javascript=tuple(r for r in process.requirements if r["class"] == "InlineJavascriptRequirement"),
        resources=process.get_requirement("ResourceRequirement")[0],
        multiple_input=_requires(process, "MultipleInputFeatureRequirement"),
        step_expressions=_requires(process, "StepInputExpressionRequirement"),
        steps=steps,
        outputs=outputs,
        output_names=tuple(short(port["id"]) for port in tool["outputs"]),
        cuda=_requires(process, "http://commonwl.org/cwltool#CUDARequirement"),
        queue=_queue(process),
        retry=_retry(process),
        secrets=_secrets(tool),
        reuse_container=_reuse_container(process),
        cwl_version=version,
    )


def _secrets(tool: Any) -> tuple[str, ...]:
    """Return the inputs that a process itself calls secret: what is around it speaks of other inputs."""
    demands = [*(tool.get("hints") or ()), *(tool.get("requirements") or ())]
    names = {short(name) for one in demands if one["class"] in _SECRETS for name in one.get("secrets") or ()}
    return tuple(short(port["id"]) for port in tool["inputs"] if short(port["id"]) in names)


def _check_unique(entries: Any, field: str) -> None:
    """cwltool takes the last of two entries with one name, and says nothing."""
    counted = Counter(short(entry["id"]) for entry in entries)
    for name, number in counted.items():
        if number > 1:
            raise DocumentError(f"two {field} are called '{name}'", hint="give each a name of its own")


def _requires(process: Any, name: str) -> bool:
    return process.get_requirement(name)[0] is not None


def _queue(process: Any) -> str | None:
    """Return the queue that a `celeriac:queue` hint names: the step's own, else that of what is around it."""
    hint = _hint(process, "queue")
    if hint is None:
        return None
    # not `name`: that is an identifier in CWL, which becomes a URI of the document
    queue = hint.get("queue")
    if not isinstance(queue, str) or not queue:
        raise DocumentError(
            f"the hint celeriac:queue names no queue: its field 'queue' is {queue!r}",
            hint="write it as `celeriac:queue: {queue: advanced}`",
        )
    return queue


def _retry(process: Any) -> Retry | None:
    """Return what a `celeriac:retry` hint says of temporary failures."""
    hint = _hint(process, "retry")
    if hint is None:
        return None
    unknown = sorted(set(hint) - {"class", "attempts", "delay", "exitCodes"})
    if unknown:
        raise _bad_retry(f"'{unknown[0]}' is no field of it")
    attempts, delay, codes = hint.get("attempts"), hint.get("delay"), hint.get("exitCodes", [])
    if attempts is not None and not (_is_number(attempts, int) and attempts >= 1):
        raise _bad_retry(f"its field 'attempts' is {attempts!r}: a whole number of 1 or more was expected")
    if delay is not None and not (_is_number(delay, int, float) and 0 <= delay < math.inf):
        raise _bad_retry(f"its field 'delay' is {delay!r}: seconds were expected, a number of 0 or more")
    if not isinstance(codes, list) or not all(_is_number(code, int) for code in codes):
        raise _bad_retry(f"its field 'exitCodes' is {codes!r}: a list of whole numbers was expected")
    return Retry(attempts, delay, frozenset(codes))


def _reuse_container(process: Any) -> bool | None:
    """Whether a `celeriac:reuse-container` hint lets items of a scattered step share a container; None: no hint."""
    hint = _hint(process, "reuse-container")
    if hint is None:
        return None
    unknown = sorted(set(hint) - {"class", "enable"})
    enable = hint.get("enable", True)
    if unknown or not isinstance(enable, bool):
        problem = f"'{unknown[0]}' is no field of it" if unknown else f"its field 'enable' is {enable!r}"
        raise DocumentError(
            f"the hint celeriac:reuse-container can't be understood: {problem}",
            hint="write it as `celeriac:reuse-container: {}`, or as `{enable: false}` where it is to be off",
        )
    return enable


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _bad_retry(problem: str) -> DocumentError:
    return DocumentError(
        f"the hint celeriac:retry can't be understood: {problem}",
        hint="write it as `celeriac:retry: {attempts: 5, delay: 10, exitCodes: [75]}`; each field may be left out",
    )


def _hint(process: Any, name: str) -> Any:
    """Return Celeriac's hint of that name: the step's own, else that of what is around it."""
    # in a document that declares the namespace, and in others
    names = (f"{NAMESPACE}{name}", f"celeriac:{name}")
    return next((hint for hint in reversed(process.hints) if hint["class"] in names), None)


def _source_names(process: Any) -> dict[str, str]:
    """Map every identifier that a link may start at to its short name."""
    names = {port["id"]: short(port["id"]) for port in process.tool["inputs"]}
    for step in process.steps:
        for port in step.tool["outputs"]:
            names[port["id"]] = f"{short(step.id)}/{short(port['id'])}"
    return names


def _steps(process: Any, sources: dict[str, str], known: _Known, version: str) -> dict[str, Step]:
    # cwltool shuffles its steps: take the document's order
    order = {entry["id"]: number for number, entry in enumerate(process.tool["steps"])}
    ordered = sorted(process.steps, key=lambda step: order.get(step.id, 0))
    return {short(step.id): _step(step, sources, _translate(step.embedded_tool, known, version)) for step in ordered}


def _step(step: Any, sources: dict[str, str], process: Process) -> Step:
    tool = step.tool
    inputs = tuple(_in_port(port, sources) for port in tool["inputs"])
    requires = {source.partition("/")[0] for port in inputs for source in port.sources or () if "/" in source}
    return Step(
        name=short(step.id),
        inputs=inputs,
        outputs=tuple(short(port["id"]) for port in tool["outputs"]),
        process=process,
        scatter=tuple(short(name) for name in _list(tool.get("scatter"))),
        method=tool.get("scatterMethod"),
        when=tool.get("when"),
        requires=frozenset(requires),
    )


def _in_port(port: Any, sources: dict[str, str]) -> Port:
    return Port(
        name=short(port["id"]),
        sources=_sources(port, "source", sources),
        link_merge=port.get("linkMerge"),
        pick_value=port.get("pickValue"),
        default=port["default"] if "default" in port else MISSING,
        value_from=port.get("valueFrom"),
        load_contents=bool(port.get("loadContents")),
        connected=not port.get("not_connected"),
    )


def _out_port(port: Any, sources: dict[str, str]) -> Port:
    return Port(
        name=short(port["id"]),
        sources=_sources(port, "outputSource", sources),
        link_merge=port.get("linkMerge"),
        pick_value=port.get("pickValue"),
        default=port["default"] if "default" in port else MISSING,
    )


def _sources(port: Any, field: str, sources: dict[str, str]) -> tuple[str, ...] | None:
    if field not in port:
        return None
    found = []
    for source in _list(port[field]):
        if source not in sources:
            raise DocumentError(
                f"the link to '{short(port['id'])}' starts at '{short(source)}', which no input or step has"
            )
        found.append(sources[source])
    return tuple(found)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
