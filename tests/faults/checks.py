"""The promises, checked after every fault; what is broken is told with all that helps to find out why."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from celeriac.journal.tables import Record
from celeriac.states import AttemptState, NodeState, Outcome, RunState
from tests.faults.hang import shown
from tests.faults.journal import HANG, succeeded
from tests.faults.remains import containers, processes
from tests.faults.report import Fault
from tests.faults.site import Site
from tests.faults.workflow import Reference

#: Seconds within which nothing may be left of an attempt that has ended (P7).
GONE = 10.0


def kept(site: Site, run: str, what: Reference, fault: Fault, patience: float = HANG) -> None:
    """Check that a run of the reference workflow ended as if there had been no fault."""
    row = _end(site, run, patience)
    made = site.view.attempts(run)
    broken = [] if row.state == RunState.SUCCESS else [f"the run is {row.state}: {row.error}"]
    wrong = _outputs(row, what) if not broken else broken
    fault.outcome = "no" if wrong else "yes"
    broken += [one for one in wrong if one not in broken]
    broken += _commits(site, run, what, made) + _causes(made)
    broken += left(site, fault)
    fault.recovered(made, row)
    _judge(site, run, broken)


def ended_as(site: Site, run: str, state: RunState, cause: str, fault: Fault, patience: float = HANG) -> Record:
    """Check that a run ended in a state of which ``cause`` is a part of the reason; return its row."""
    row = _end(site, run, patience)
    broken = [] if row.state == state else [f"the run is {row.state}, not {state}: {row.error}"]
    if cause not in str(row.error):
        broken.append(f"{cause!r} is not named: {row.error}")
    fault.outcome = str(row.state)
    broken += _causes(site.view.attempts(run)) + left(site, fault)
    fault.recovery = max(fault.recovery or 0.0, max(0.0, row.ended - fault.moments[-1])) if fault.moments else None
    _judge(site, run, broken)
    return row


def left(site: Site, fault: Fault, patience: float = GONE) -> list[str]:
    """Return what of the site's runs is left on the host, after as long as it may be."""
    deadline = time.monotonic() + patience
    while remains := _remains(site):
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    fault.left += len(remains)
    return [f"left on the host: {one}" for one in remains]


def gone(site: Site, attempts: Sequence[str], patience: float = GONE) -> None:
    """Check that nothing is left of some attempts, after as long as it may be; others go on."""
    deadline = time.monotonic() + patience
    while remains := [one for one in _remains(site) if any(name in one for name in attempts)]:
        assert time.monotonic() < deadline, f"left on the host: {remains}\n{site.said()}"
        time.sleep(0.1)


def _remains(site: Site) -> list[str]:
    return [*containers(site.docker, site.view.runs()).values(), *processes(site.view.attempt_names()).values()]


# --- one promise each -------------------------------------------------------------------------------


def _end(site: Site, run: str, patience: float) -> Record:
    try:
        return site.ended(run, patience)
    except AssertionError as error:
        waiting = shown(site)
        raise AssertionError(f"a hang: {error}\n{waiting}\n{_dump(site, run)}") from None


def _outputs(row: Record, what: Reference) -> list[str]:
    """P2: the outputs are those of a run without a fault, also on the disk."""
    files = [*row.outputs["parts"], row.outputs["joined"]]
    found = {file["basename"]: file["checksum"] for file in files}
    broken = []
    if found != what.checksums:
        wrong = {name for name in found.keys() | what.checksums if found.get(name) != what.checksums.get(name)}
        broken.append(f"outputs differ: {sorted(wrong)}")
    for file in files:
        text = Path(file["path"]).read_bytes()
        if f"sha1${hashlib.sha1(text).hexdigest()}" != file["checksum"] or len(text) != file["size"]:
            broken.append(f"{file['path']} is not what its checksum says")
    return broken


def _commits(site: Site, run: str, what: Reference, made: Sequence[Record]) -> list[str]:
    """P2, P3: each step has one attempt that brought its outputs, and all steps have."""
    jobs = [node for node in site.view.nodes(run) if node.kind == "job"]
    broken = [f"{node.path} is {node.state}" for node in jobs if node.state != NodeState.SUCCESS]
    if len(jobs) != what.size:
        broken.append(f"{len(jobs)} steps, not {what.size}")
    commits = Counter(attempt.path for attempt in made if succeeded(attempt))
    broken += [f"{node.path} has {commits[node.path]} commits" for node in jobs if commits[node.path] != 1]
    current = {node.path: node.attempt for node in jobs}
    for attempt in made:
        if succeeded(attempt) and (attempt.state != AttemptState.SETTLED or current[attempt.path] != attempt.id):
            broken.append(f"attempt {attempt.number} of {attempt.path} succeeded, is {attempt.state}, or not current")
    return broken


def _causes(made: Sequence[Record]) -> list[str]:
    """P4, P8: what brought nothing says why, and it is never the tool's fault."""
    broken = []
    for attempt in made:
        named = attempt.error or attempt.cause or attempt.state in (AttemptState.LOST, AttemptState.CANCELED)
        if attempt.ended and not succeeded(attempt) and not named:
            broken.append(f"attempt {attempt.number} of {attempt.path} names no cause: {attempt.outcome}")
        if attempt.outcome == Outcome.PERMANENT:
            broken.append(f"attempt {attempt.number} of {attempt.path} is taken for the tool's fault: {attempt.error}")
        if not attempt.ended:
            broken.append(f"attempt {attempt.number} of {attempt.path} is {attempt.state} for ever")
    return broken


def _judge(site: Site, run: str, broken: Sequence[str]) -> None:
    if broken:
        raise AssertionError("\n".join([*broken, _dump(site, run)]))


def _dump(site: Site, run: str) -> str:
    """Return what the journal and the workers have to say."""
    row = site.view.run(run)
    lines = [f"run {run}: {row.state}, stopping {row.stopping}, error {row.error}"]
    lines += _unusual(site.view.nodes(run), lambda node: f"node {node.path!r} {node.kind}: {node.state}")
    for attempt in site.view.attempts(run):
        if not succeeded(attempt) or attempt.number > 1:
            error = str((attempt.error or {}).get("message", ""))[:300]
            times = ", ".join(
                f"{name} {value - row.created:.1f}"
                for name in ("created", "started", "lease", "ended")
                if (value := getattr(attempt, name)) is not None
            )
            lines.append(
                f"attempt {attempt.number} of {attempt.path!r} {attempt.id}: {attempt.state} {attempt.outcome} "
                f"{attempt.cause} {attempt.owner} [{times}] {error}"
            )
    return "\n".join([*lines, *_remains(site), site.said()])


def _unusual(rows: Sequence[Record], tell: Callable[[Record], str]) -> list[str]:
    return [tell(row) for row in rows if row.state not in (NodeState.SUCCESS, NodeState.SKIPPED)]
