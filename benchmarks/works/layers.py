"""Layers of steps: many links, and no barrier between layers but where the data demands it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.works.base import Case, Work, save, tool, workflow


def work(depth: int, width: int) -> Work:
    """Return the work of ``depth`` layers of ``width`` steps.

    The first step of a layer reads all files of the layer above, each other step the one above it;
    each writes the sum of the numbers in them, plus one.
    """

    def write(folder: Path, seed: int) -> Case:
        (folder / "start.txt").write_text(f"{seed}\n")
        save(folder / "step.cwl", _step())
        return Case(
            document=save(folder / "layers.cwl", _document(depth, width)),
            job=save(folder / "job.json", {"start": {"class": "File", "path": "start.txt"}}),
            expected=tuple(f"{number}\n" for number in _numbers(seed, depth, width)),
        )

    steps = depth * width
    return Work(
        f"layers-{depth}x{width}",
        title=f"{depth} layers of {width}",
        steps=steps,
        write=write,
        timeout=120 + steps,
        small=False,
    )


def _step() -> dict[str, object]:
    files = {"type": "File[]", "inputBinding": {"position": 1}}
    # %.0f: some awks write big numbers as 1e+06.
    return tool(baseCommand=["awk", '{n += $1} END {printf "%.0f\\n", n + 1}'], inputs={"files": files})


def _above(layer: int, column: int, width: int) -> list[str]:
    if layer == 0:
        return ["start"]
    columns = range(width) if column == 0 else [column]
    return [f"s{layer - 1}_{c}/out" for c in columns]


def _document(depth: int, width: int) -> dict[str, object]:
    steps = {
        f"s{layer}_{column}": {
            "run": "step.cwl",
            "in": {"files": {"source": _above(layer, column, width), "linkMerge": "merge_nested"}},
            "out": ["out"],
        }
        for layer in range(depth)
        for column in range(width)
    }
    last = [f"s{depth - 1}_{column}/out" for column in range(width)]
    return workflow(
        ["MultipleInputFeatureRequirement"],
        inputs={"start": "File"},
        outputs={"out": {"type": "File[]", "outputSource": last, "linkMerge": "merge_nested"}},
        steps=steps,
    )


def _numbers(seed: int, depth: int, width: int) -> list[int]:
    numbers = [seed + 1] * width
    for _ in range(depth - 1):
        numbers = [sum(numbers) + 1] + [number + 1 for number in numbers[1:]]
    return numbers
