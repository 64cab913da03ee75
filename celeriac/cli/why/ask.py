"""What a step asks for, each amount with the words of the document that it comes from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celeriac.graph.model import Process
from celeriac.resources import Ask, QueueLimits, Resources

#: cwltool's requirement for GPUs.
CUDA = "http://commonwl.org/cwltool#CUDARequirement"
_FIELDS = {"cpus": "cores", "ram": "ram", "tmpdir": "tmpdir", "outdir": "outdir"}


@dataclass(frozen=True)
class Source:
    """Where a step's resources are written."""

    resources: Mapping[str, Any]  # ResourceRequirement; empty: there is none
    cuda: Mapping[str, Any]  # cwltool:CUDARequirement
    place: str  # of the ResourceRequirement: "hints of the tool"
    cuda_place: str
    version: str  # the document's cwlVersion


@dataclass(frozen=True)
class Amount:
    """One amount that a step asks for."""

    name: str  # cpus, ram, gpus, tmpdir, outdir
    least: float | None  # None: not evaluated yet
    most: float | None  # None: the queue's limit
    said: Mapping[str, Any]  # the document's own fields; empty: it says nothing
    source: str  # in words

    @property
    def computed(self) -> bool:
        """Whether an expression gives it."""
        return any(isinstance(value, str) for value in self.said.values())


def source(process: Process, tool: Any) -> Source:
    """Return what the document says; ``tool`` is cwltool's process of the step."""
    resources, place = _requirement(tool, "ResourceRequirement")
    cuda, cuda_place = _requirement(tool, CUDA)
    return Source(resources, cuda, place, cuda_place, process.cwl_version)


def _requirement(tool: Any, name: str) -> tuple[Mapping[str, Any], str]:
    found, required = tool.get_requirement(name)
    if found is None:
        return {}, ""
    field = "requirements" if required else "hints"
    own = any(entry is found for entry in tool.tool.get(field, ()))
    return found, f"{field} of {'the tool' if own else 'its step or a workflow around it'}"


def amounts(written: Source, ask: Ask | None) -> list[Amount]:
    """Return each amount that is asked for; without ``ask`` it is not evaluated yet."""
    least, most = _values(ask)
    found = []
    for name, field in _FIELDS.items():
        said = {key: written.resources[key] for key in (f"{field}Min", f"{field}Max") if written.resources.get(key)}
        found.append(Amount(name, least[name], most[name], said, _words(said, written.place, written.version)))
    if written.cuda:
        said = {key: written.cuda[key] for key in ("cudaDeviceCountMin", "cudaDeviceCountMax") if key in written.cuda}
        words = _words(said, written.cuda_place, written.version) if said else f"a GPU by {written.cuda_place}"
        found.insert(2, Amount("gpus", least["gpus"], most["gpus"], said, words))
    return found


def _values(ask: Ask | None) -> tuple[dict[str, float | None], dict[str, float | None]]:
    names = (*_FIELDS, "gpus")
    if ask is None:
        return dict.fromkeys(names), dict.fromkeys(names)
    sizes: dict[str, float | None] = {"tmpdir": ask.tmpdir, "outdir": ask.outdir, "gpus": ask.least.gpus}
    return (
        {"cpus": ask.least.cpus, "ram": ask.least.ram, **sizes},
        {"cpus": ask.cpus, "ram": ask.ram, **sizes},
    )


def _words(said: Mapping[str, Any], place: str, version: str) -> str:
    if not said:
        return f"the document says nothing: CWL {version}'s default"
    text = ", ".join(f"{key}: {_shown(value)}" for key, value in said.items())
    kind = "an expression" if any(isinstance(value, str) for value in said.values()) else "a constant"
    return f"{text} ({kind} under {place})"


def _shown(value: Any) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


# --- granted -------------------------------------------------------------------------------------


def grant_words(ask: Ask, queue: QueueLimits, granted: Resources, limited: bool) -> str:
    """Say what a step is granted on its queue, and why so much."""
    if not limited:
        return f"{granted}: the least that it asks for, since the queue {queue.name} is the whole host"
    cpus = _bound(ask.cpus, queue.cpus)
    ram = _bound(ask.ram, queue.ram)
    if cpus == ram:
        return f"{granted}: {cpus}"
    return f"{granted}: of CPUs {cpus}, of memory {ram}"


def _bound(most: float | None, limit: float) -> str:
    if most is None:
        return "the queue's limit, as the document names no most"
    return "the queue's limit" if most > limit else "the most that it asks for"


def sizes(inputs: Mapping[str, Any]) -> list[tuple[str, int, int | None]]:
    """Return each input that has files: its name, how many, and their bytes if all are known."""
    found = []
    for name, value in sorted(inputs.items()):
        files = list(_files(value))
        if files:
            known = [file.get("size") for file in files]
            total = sum(known) if all(isinstance(size, int) for size in known) else None
            found.append((name, len(files), total))
    return found


def _files(value: Any) -> Any:
    if isinstance(value, Mapping):
        if value.get("class") == "File":
            yield value
            return
        value = [] if value.get("class") == "Directory" else list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _files(part)
