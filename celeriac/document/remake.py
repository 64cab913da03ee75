"""Make a process of cwltool from a part of a document that was resolved and validated before."""

from __future__ import annotations

from typing import Any, NoReturn

from cwltool.command_line_tool import AbstractOperation, CommandLineTool, ExpressionTool
from cwltool.context import LoadingContext
from cwltool.process import Process


class Flow(Process):
    """A workflow without its steps: what binds its inputs. They have processes of their own."""

    def job(self, *rest: Any) -> NoReturn:
        """Nothing here is run by cwltool."""
        raise NotImplementedError


_CLASSES: dict[str, type[Process]] = {
    "CommandLineTool": CommandLineTool,
    "ExpressionTool": ExpressionTool,
    "Operation": AbstractOperation,
    "Workflow": Flow,
}


def remake(tool: Any, requirements: list[Any], hints: list[Any], metadata: Any) -> Process:
    """Return a process; ``requirements`` and ``hints`` are those that it has from around it."""
    context = LoadingContext(
        {
            "requirements": requirements,
            "hints": hints,
            "metadata": metadata,
            "disable_js_validation": True,
            "relax_path_checks": True,
            "strict": True,
        }
    )
    return _CLASSES[tool["class"]](tool, context)
