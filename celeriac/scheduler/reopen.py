"""What is done again of a run that has ended: what failed or never ran, and what is asked for. Pure.

Steps that were done stay done. What failed runs again with the inputs that it had; a step that is to be
done anew although it succeeded is forgotten, with all that depends on it, and gets its inputs afresh.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from celeriac.graph.model import Process
from celeriac.graph.paths import join, step_name
from celeriac.scheduler.readiness import DONE, blocked
from celeriac.states import NodeState


@dataclass(frozen=True)
class Done:
    """A node as the run left it."""

    path: str
    parent: str | None
    step: str  # its address, without indexes
    kind: str  # job, workflow, scatter
    state: NodeState
    idx: int | None = None  # number among the items of a scatter
    begun: bool = False  # a job that had an attempt, a scatter or workflow that had parts


@dataclass
class Plan:
    """What to do with the nodes of a run; each is in one list at most."""

    forget: set[str] = field(default_factory=set)  # the node and all its parts: made again when its turn comes
    again: set[str] = field(default_factory=set)  # jobs: another attempt with the inputs that they had
    prepare: set[str] = field(default_factory=set)  # their turn has come, their inputs are not evaluated
    wait: set[str] = field(default_factory=set)  # items whose turn has not come
    reopen: dict[str, int] = field(default_factory=dict)  # scatters and workflows: how many parts are to end

    def __bool__(self) -> bool:
        return bool(self.forget or self.again or self.prepare or self.wait or self.reopen)

    def keeps(self, path: str) -> bool:
        """Whether a node stays as it is."""
        changed = path in self.again or path in self.prepare or path in self.wait or path in self.reopen
        return not changed and not _is_below(path, self.forget)


def plan(graph: Process, nodes: Iterable[Done], anew: Iterable[str] = ()) -> Plan:
    """Return what is done again; ``anew``: paths of nodes that are, though they succeeded."""
    known = {node.path: node for node in nodes}
    made = Plan()
    for path in anew:
        _anew(graph, known, known[path], made)
    for node in known.values():
        if node.state is NodeState.UPSTREAM_FAILED:
            made.forget.add(node.path)
    left = {path: node for path, node in known.items() if not _is_below(path, made.forget)}
    for node in left.values():
        _one(node, made)
    _count(graph, left, made)
    return made


def _anew(graph: Process, known: Mapping[str, Done], node: Done, made: Plan) -> None:
    """Forget a node and what depends on it, in its own scope and in those around it."""
    if node.idx is not None or node.parent is None:  # an item keeps its inputs; so does the root
        if node.kind == "job" and node.begun:
            made.again.add(node.path)
        else:
            made.forget |= {path for path in known if known[path].parent == node.path}
            made.reopen[node.path] = 0
    else:
        made.forget.add(node.path)
    while node.parent is not None:
        above = known[node.parent]
        made.reopen[above.path] = 0
        if above.kind == "workflow":
            steps = graph.at(above.step).steps or {}
            needing = blocked(steps, [step_name(node.path)])
            made.forget |= {join(above.path, name) for name in needing} & known.keys()
        node = above


def _one(node: Done, made: Plan) -> None:
    """See to one node that is not forgotten."""
    if node.path in made.again or node.path in made.reopen or node.state in DONE:
        return
    if node.kind == "job" and node.begun:
        made.again.add(node.path)
    elif node.begun:
        made.reopen[node.path] = 0
    elif node.idx is not None:
        made.wait.add(node.path)
    else:
        made.prepare.add(node.path)


def _count(graph: Process, left: Mapping[str, Done], made: Plan) -> None:
    """Count the parts of what is opened again that are to end."""
    parts: dict[str, list[Done]] = defaultdict(list)
    for node in left.values():
        if node.parent is not None:
            parts[node.parent].append(node)
    for path in made.reopen:
        node = left[path]
        done = sum(part.state in DONE and made.keeps(part.path) for part in parts[path])
        total = len(parts[path]) if node.kind == "scatter" else len(graph.at(node.step).steps or {})
        made.reopen[path] = total - done


def _is_below(path: str, forgotten: set[str]) -> bool:
    """Whether a path is one of these or a part of one."""
    if path in forgotten:
        return True
    return any(path[:place] in forgotten for place, mark in enumerate(path) if mark in "/[")
