"""Steps in a row: the latency from the end of one step to the start of the next."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, save, tool, workflow


def work(length: int) -> Work:
    """Return the work of ``length`` steps, each of which adds one sign to the file of the one before."""

    def write(folder: Path, seed: int) -> Case:
        start = f"{seed}"
        (folder / "start.txt").write_text(f"{start}\n")
        save(folder / "step.cwl", _step())
        return Case(
            document=save(folder / "chain.cwl", _document(length)),
            job=save(folder / "job.json", {"start": {"class": "File", "path": "start.txt"}}),
            expected=(f"{start}{'+' * length}\n",),
        )

    return Work(
        f"chain-{length}",
        title=f"chain of {length:,}",
        steps=length,
        write=write,
        timeout=120 + 5 * length,
        small=length <= 50,
    )


def _step() -> dict[str, object]:
    file = {"type": "File", "inputBinding": {"position": 1}}
    return tool(baseCommand=["sed", "s/$/+/"], inputs={"file": file})


def _document(length: int) -> dict[str, object]:
    steps = {}
    source = "start"
    for i in range(length):
        steps[f"s{i}"] = {"run": "step.cwl", "in": {"file": source}, "out": ["out"]}
        source = f"s{i}/out"
    return workflow(
        [],
        inputs={"start": "File"},
        outputs={"out": {"type": "File", "outputSource": source}},
        steps=steps,
    )
