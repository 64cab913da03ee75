"""Build a job with cwltool: the command line, environment, staged files; nothing is run here."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

import cwltool.process
from cwltool.command_line_tool import CommandLineTool
from cwltool.context import RuntimeContext
from cwltool.job import JobBase
from cwltool.pathmapper import PathMapper

from celeriac.document.binding import binding
from celeriac.errors import DocumentError, UnsupportedError
from celeriac.job.fence import Fence, fenced, file_access
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.watch import Check, never
from celeriac.resources import Resources


def context(
    options: RunOptions,
    place: Place,
    name: str,
    granted: Resources | None = None,
    check: Check = never,
    *,
    mapper: type[PathMapper] = PathMapper,
    fence: Fence | None = None,
) -> RuntimeContext:
    """Return cwltool's settings for one job; ``granted`` is what $(runtime) tells it, ``check`` ends long reads.

    ``mapper`` says where it finds its inputs, ``fence`` what it may reach of the files of this host.
    """
    made = RuntimeContext(
        {
            "basedir": options.basedir or "/",
            "outdir": str(place.out),
            "tmpdir": str(place.tmp),
            "stagedir": str(place.stage),
            "tmpdir_prefix": str(place.root / "x"),
            "tmp_outdir_prefix": str(place.root / "x"),
            "use_container": options.use_container,
            "default_container": options.default_container,
            "no_match_user": not options.match_user,
            "preserve_environment": list(options.preserve_environment) or None,
            "preserve_entire_environment": options.preserve_entire_environment,
            "compute_checksum": options.compute_checksum,
            "eval_timeout": options.eval_timeout,
            "strict_memory_limit": options.strict_memory_limit,
            "name": name,
            "path_mapper": mapper if fence is None else fenced(mapper, fence, check),
        }
    )
    if check is not never or fence is not None:
        made.make_fs_access = file_access(fence, check)  # type: ignore[assignment]
    if granted is not None:
        made.select_resources = functools.partial(_told, granted)
    if options.default_container:
        made.find_default_container = lambda builder: options.default_container
    return made


def _told(granted: Resources, request: Mapping[str, Any], context: RuntimeContext) -> dict[str, Any]:
    """Return what $(runtime.cores) and the others are (CWL v1.2, Runtime environment)."""
    return {
        # a whole number as one: cwltool writes 1.0 as it is
        "cores": int(granted.cpus) if float(granted.cpus).is_integer() else granted.cpus,
        "ram": granted.ram,
        "tmpdirSize": math.ceil(request["tmpdirMin"]),
        "outdirSize": math.ceil(request["outdirMin"]),
        **({"cudaDeviceCount": granted.gpus} if granted.gpus else {}),
    }


def build(tool: CommandLineTool, inputs: dict[str, Any], made: RuntimeContext) -> JobBase:
    """Return the job, ready to be staged.

    Raises what cwltool raises: ``WorkflowException``, ``ValidationException``, ``UnsupportedRequirement``.
    """
    with binding(tool):
        try:
            job = next(tool.job(inputs, lambda outputs, status: None, made))
        finally:
            # cwltool remembers every name for ever, and searches them linearly for a free one
            cwltool.process._names.discard(made.name)
    if not isinstance(job, JobBase):
        raise UnsupportedError(f"{type(tool).__name__} makes no command line job")
    if not job.command_line:
        raise DocumentError(
            f"the command line of '{tool.tool.get('id', 'the tool')}' is empty",
            hint="give it a baseCommand, arguments, or an input with an inputBinding",
        )
    if job.mpi_procs:
        raise UnsupportedError("cwltool:MPIRequirement is not supported")
    return job


def literals(job: JobBase, inner_outdir: str, made: RuntimeContext) -> PathMapper | None:
    """Return the mapping of InitialWorkDirRequirement's files, or None when there are none."""
    listing = job.generatefiles["listing"]
    if not listing:
        return None
    return job.make_path_mapper(listing, inner_outdir, made, False)
