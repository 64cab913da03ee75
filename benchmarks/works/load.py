"""A workflow of many steps: what it costs to load it, until the first step is under way."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, save, tool, workflow


def work(length: int) -> Work:
    """Return the work of loading a chain of ``length`` steps.

    The first step leaves a file and fails, which ends the run: a runner that loads and dispatches ends right
    after. A runner that can only load does that.
    """

    def write(folder: Path, seed: int) -> Case:
        started = folder / "started"
        start = {"class": "File", "path": "start.txt"}
        (folder / "start.txt").write_text(f"{seed}\n")
        save(folder / "first.cwl", _first())
        save(folder / "step.cwl", _step())
        return Case(
            document=save(folder / "load.cwl", _document(length)),
            job=save(folder / "job.json", {"start": start, "started": str(started)}),
            expected=(),
            started=started,
        )

    return Work(
        f"load-{length}",
        title=f"load {length:,} steps",
        steps=length,
        write=write,
        timeout=120 + 0.2 * length,
        small=True,
        loads=True,
    )


def _first() -> dict[str, object]:
    started = {"type": "string", "inputBinding": {"position": 1}}
    command = ["sh", "-c", 'touch "$1"; exit 1', "first"]
    return tool(baseCommand=command, inputs={"started": started, "file": "File"})


def _step() -> dict[str, object]:
    file = {"type": "File", "inputBinding": {"position": 1}}
    return tool(baseCommand="cat", inputs={"file": file})


def _document(length: int) -> dict[str, object]:
    begin = {"file": "start", "started": "started"}
    steps: dict[str, object] = {"s0": {"run": "first.cwl", "in": begin, "out": ["out"]}}
    for i in range(1, length):
        steps[f"s{i}"] = {"run": "step.cwl", "in": {"file": f"s{i - 1}/out"}, "out": ["out"]}
    return workflow(
        [],
        inputs={"start": "File", "started": "string"},
        outputs={"out": {"type": "File", "outputSource": f"s{length - 1}/out"}},
        steps=steps,
    )
