"""What a step costs beside a Celery task: a scatter of steps that do nothing, and a group of such tasks."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from celery import group

from benchmarks.cluster import CORES, Client, Failed, cluster
from benchmarks.gauges.base import Gauge
from benchmarks.works.base import CWL_VERSION, Case, save, workflow

_INPUTS = {"number": "int"}
#: Starts a process and waits for it, as any tool does.
_COMMAND = {"class": "CommandLineTool", "baseCommand": "true", "inputs": _INPUTS, "outputs": {}}
#: Starts none: what is left is the way of a step through engine and broker.
_EXPRESSION = {
    "class": "ExpressionTool",
    "requirements": [{"class": "InlineJavascriptRequirement"}],
    "inputs": _INPUTS,
    "outputs": {},
    "expression": "${return {};}",
}
#: Items of the runs that go before, unmeasured.
_WARM = 50


def gauge(count: int) -> Gauge:
    """Return the gauge of ``count`` empty steps against ``count`` empty tasks."""

    def take(folder: Path, repeat: int, timeout: float) -> Iterator[dict[str, float]]:
        with ExitStack() as stack:
            site = stack.enter_context(cluster(folder, timeout))
            stack.enter_context(site.worker("steps", CORES))
            plain = stack.enter_context(site.plain_worker(CORES))
            client = stack.enter_context(site.client())
            for turn in range(-1, repeat):
                number = count if turn >= 0 else _WARM
                seconds = [
                    _seconds(lambda: _group(plain, number, timeout)),  # noqa: B023
                    _scatter(client, _COMMAND, folder / f"commands{turn}", number),
                    _scatter(client, _EXPRESSION, folder / f"expressions{turn}", number),
                ]
                if turn >= 0:
                    yield figures(number, *seconds)

    return Gauge(f"empty-{count}", take, timeout=120 + 0.2 * count)


def figures(count: int, tasks: float, commands: float, expressions: float) -> dict[str, float]:
    """Return the figures of so many tasks and steps, whose seconds are given."""
    return {
        "scatter of commands / Celery group": commands / tasks,
        "scatter of expressions / Celery group": expressions / tasks,
        "a task of the group, ms": tasks / count * 1000,
        "a step with a command, ms": commands / count * 1000,
        "a step with an expression, ms": expressions / count * 1000,
    }


def _group(plain: Any, count: int, timeout: float) -> None:
    done = group(plain.tasks["plain.nothing"].s() for _ in range(count)).apply_async().get(timeout=timeout)
    if len(done) != count:
        raise Failed(f"{len(done)} tasks of {count} ended")


def _scatter(client: Client, tool: dict[str, Any], folder: Path, count: int) -> float:
    case = _case(folder, tool, count)
    return _seconds(lambda: client.run(case))


def _seconds(act: Callable[[], object]) -> float:
    """Return how long something takes, from the client's first message to the last result it gets."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def _case(folder: Path, tool: dict[str, Any], count: int) -> Case:
    folder.mkdir()
    first = random.randrange(10**6, 10**9)  # new ones: nothing is answered from an earlier run
    save(folder / "nothing.cwl", {"cwlVersion": CWL_VERSION, **tool})
    step = {"run": "nothing.cwl", "scatter": "number", "in": {"number": "numbers"}, "out": []}
    document = workflow(
        ["ScatterFeatureRequirement"], inputs={"numbers": "int[]"}, outputs={}, steps={"all": step}
    )
    return Case(
        document=save(folder / "scatter.cwl", document),
        job=save(folder / "job.json", {"numbers": list(range(first, first + count))}),
        expected=(),
    )
