"""Run one job: build, stage, run, collect. What comes out is a report; nothing here decides a state."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from cwltool.command_line_tool import CommandLineTool, ExpressionTool
from cwltool.job import JobBase, relink_initialworkdir
from cwltool.pathmapper import PathMapper
from cwltool.utils import bytes2str_in_dicts, normalizeFilesDirs

from celeriac.container.base import CancelToken, Command, ExitReport, Runner
from celeriac.container.disk import is_full, is_used_up, no_room
from celeriac.container.leftovers import clear
from celeriac.document.binding import bind
from celeriac.errors import (
    Cancelled,
    CeleriacError,
    DiskFull,
    EngineUnreachable,
    KilledFromOutside,
    NameTaken,
    OutOfMemory,
    StepFailed,
    TimeLimitExceeded,
    UnsupportedError,
)
from celeriac.job import account
from celeriac.job import build as building
from celeriac.job.command import container_command, docker_required, image_of, process_command
from celeriac.job.fence import Fence
from celeriac.job.mapper import InputMapper
from celeriac.job.once import once
from celeriac.job.permits import check_job, check_staged, check_tool
from celeriac.job.report import JobReport
from celeriac.job.request import JobRequest
from celeriac.job.secret import Written, remove_files
from celeriac.job.stage import Mounts, check_inputs, link
from celeriac.job.values import named
from celeriac.names import container_of
from celeriac.states import Outcome

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MemorySigns:
    """How a tool that ended by itself shows that it ran out of memory."""

    exit_codes: frozenset[int] = frozenset()
    words: re.Pattern[str] | None = None  # in the end of its standard error

    def tell(self, code: int, said: str) -> bool:
        """Whether a tool that failed so ran out of memory."""
        return code in self.exit_codes or bool(self.words and self.words.search(said))


class JobRunner:
    """Runs jobs with a runner for containers and one for plain processes, each made when first needed."""

    def __init__(
        self, containers: Callable[[], Runner], processes: Callable[[], Runner], memory: MemorySigns | None = None
    ) -> None:
        self._make = {"containers": containers, "processes": processes}
        self._memory = memory or MemorySigns()
        self._made: dict[str, Runner] = {}
        self._lock = threading.Lock()

    def _runner(self, kind: str) -> Runner:
        with self._lock:
            if kind not in self._made:
                self._made[kind] = self._make[kind]()
            return self._made[kind]

    def clear(self, attempt: str) -> bool:
        """End what is left of an attempt whose worker died; return whether nothing of it is left."""
        return clear(attempt, lambda: self._runner("processes"), lambda: self._runner("containers"))

    def attempts(self, host: str) -> frozenset[str]:
        """Return the attempts with a container that the host of this boot id had made; never raises."""
        return self._runner("containers").attempts(host)

    def remove(self, attempt: str) -> bool:
        """Remove an attempt's container by force; return whether it has none."""
        return self._runner("containers").clear(container_of(attempt))

    def close(self) -> None:
        """Let go of the runners' connections."""
        for runner in self._made.values():
            runner.close()

    def run(self, request: JobRequest, cancel: CancelToken) -> JobReport:
        """Run to the end, or take what was done before. Every failure is in the report; only bugs are raised."""
        return _guarded(lambda: self._run(request, cancel))

    def _run(self, request: JobRequest, cancel: CancelToken) -> JobReport:
        tool, fence = request.tool, Fence.of(request.options, request.own)
        if fence is not None:
            fence.value(request.inputs, request.options.basedir or "/")
        if isinstance(tool, ExpressionTool):
            return _expression(request, fence)
        if isinstance(tool, CommandLineTool):
            if fence is not None:
                check_tool(tool, request.options, fence.access, request.title)
            return once(
                request,
                lambda: self._image(request, cancel),
                lambda: _guarded(lambda: self._command(tool, request, cancel, fence)),
                fence,
            )
        raise UnsupportedError(f"'{request.title}' is a {tool.tool['class']}, which can't be run")

    def _image(self, request: JobRequest, cancel: CancelToken) -> str | None:
        """Return the id of the image that a tool runs in; None: as a process."""
        options = request.options
        image = image_of(request.tool, options)
        if image is None:
            return None
        containers = self._runner("containers")
        return containers.prepare(image, allow_pull=options.pull, force_pull=options.force_pull, cancel=cancel)

    def _command(
        self, tool: CommandLineTool, request: JobRequest, cancel: CancelToken, fence: Fence | None
    ) -> JobReport:
        place, options, secrets = request.place, request.options, request.secrets
        written: list[Written] = []
        for directory in (place.out, place.tmp):
            os.makedirs(directory, exist_ok=True)

        def check() -> None:
            if cancel.cancelled:
                raise cancel.error(request.title)

        mapper = InputMapper if image_of(tool, options) is None else PathMapper
        made = building.context(options, place, request.name, request.granted, check, mapper=mapper, fence=fence)
        try:
            job = building.build(tool, request.inputs, made)
            check_inputs(job.pathmapper)
            literals = building.literals(job, job.builder.outdir, made)
            image = image_of(job.builder, options)
            if fence is not None:
                check_job(job, image, fence, request.title)
                check_staged(job, literals, place, fence)
            if secrets is not None:
                written = secrets.reveal_files(job.pathmapper, literals)
            mounts = None
            if image is None:
                link(job, literals)
                command, runner = process_command(job, request), self._runner("processes")
            else:
                mounts = Mounts(job, place, docker_required(job), check)
                mounts.stage(job.pathmapper)
                if literals is not None:
                    mounts.stage(literals, literals=True)
                command, runner = container_command(job, request, image, mounts), self._runner("containers")
        except Exception as error:
            check()
            if is_full(error):
                raise no_room(f"the inputs of '{request.title}' can't be staged", place.root) from error
            raise named(error, f"'{request.title}' can't be run") from error
        try:
            ended = runner.run(command if secrets is None else secrets.command(command, job), cancel)
        except CeleriacError as error:
            _name(error, command, request)
            if isinstance(error, TimeLimitExceeded) and command.time_limit == request.max_runtime:
                error.hint = f"queue {request.queue} ends what runs longer than its max_runtime: take another queue"
            account.add(error, command)
            raise
        finally:
            remove_files(written, place.root)
        check()
        if mounts is not None:
            mounts.tame_links()
        if literals is not None:
            relink_initialworkdir(literals, job.outdir, job.builder.outdir, inplace_update=job.inplace_update)
        report = _collect(job, request, command, ended, self._memory, fence)
        if fence is not None:
            report = replace(report, command=account.words(command))
        if report.outcome is not Outcome.SUCCESS:  # it may have been broken off
            check()
        return report


def _guarded(work: Callable[[], JobReport]) -> JobReport:
    try:
        return work()
    except Cancelled as error:
        return JobReport(Outcome.CANCELED, error=error)
    except (DiskFull, EngineUnreachable, KilledFromOutside, NameTaken) as error:
        return _failed(Outcome.INFRASTRUCTURE, error)
    except OutOfMemory as error:
        return _failed(Outcome.OUT_OF_MEMORY, error)
    except CeleriacError as error:
        return _failed(Outcome.PERMANENT, error)


def _name(error: CeleriacError, command: Command, request: JobRequest) -> None:
    """Have a runner's error speak of the step: a runner knows the command's name only."""
    if command.name in error.message:
        error.message = error.message.replace(command.name, request.title)
    else:
        error.where = error.where or f"'{request.title}'"


def _failed(outcome: Outcome, error: CeleriacError) -> JobReport:
    """Report an error with what the tool used till then, where it did run."""
    peak = error.fields.get("peak_memory")
    return JobReport(
        outcome,
        error=error,
        exit_code=error.fields.get("exit_code"),
        peak_memory=None if peak is None else peak // 2**20,
        cpu_seconds=error.fields.get("cpu_seconds"),
    )


def _collect(
    job: JobBase,
    request: JobRequest,
    command: Command,
    ended: ExitReport,
    memory: MemorySigns,
    fence: Fence | None,
) -> JobReport:
    outcome = _judge(job, ended.exit_code, request.temporary)
    peak = None if ended.peak_memory is None else ended.peak_memory // 2**20
    outputs: Any = None
    error: CeleriacError | None = None
    if outcome is Outcome.SUCCESS:
        try:
            # cwltool's own annotation leaves out the exit code that its partial takes
            outputs = bytes2str_in_dicts(job.collect_outputs(job.outdir, ended.exit_code))
            normalizeFilesDirs(outputs)
            if fence is not None:
                fence.value(outputs, "")
        except Exception as failure:
            if is_full(failure):
                raise no_room(f"the outputs of '{request.title}' can't be collected", request.place.root) from failure
            outcome, error = Outcome.PERMANENT, _named_output(failure, request.title)
            account.add(error, command)
    else:
        error = StepFailed(f"'{request.title}' ended with exit code {ended.exit_code}", exit_code=ended.exit_code)
        account.add(error, command)
        if memory.tell(ended.exit_code, account.tail(command.stderr)):
            outcome, error = Outcome.OUT_OF_MEMORY, _out_of_memory(error, request, peak)
        elif is_used_up(request.place.root):  # nobody can tell whether it would have failed with room to write
            outcome, error = Outcome.INFRASTRUCTURE, _without_room(error, request)
        elif not error.hint:
            error.hint = "it said nothing on standard error"
    return JobReport(outcome, outputs, error, ended.exit_code, peak, ended.cpu_seconds)


def _named_output(failure: Exception, title: str) -> CeleriacError:
    if isinstance(failure, json.JSONDecodeError):
        return StepFailed(f"cwl.output.json, the outputs of '{title}', is not valid JSON: {failure}")
    error = named(failure, f"the outputs of '{title}' can't be collected")
    is_input = type(error).__name__ == "InputError"
    return StepFailed(error.message, hint=error.hint, where=error.where) if is_input else error


def _judge(job: JobBase, code: int, temporary: frozenset[int]) -> Outcome:
    """CWL v1.2, CommandLineTool: successCodes, temporaryFailCodes, permanentFailCodes."""
    if code in job.successCodes:
        return Outcome.SUCCESS
    if code in job.temporaryFailCodes or code in temporary:
        return Outcome.TEMPORARY
    if code in job.permanentFailCodes or code != 0:
        return Outcome.PERMANENT
    return Outcome.SUCCESS


def _without_room(error: StepFailed, request: JobRequest) -> DiskFull:
    full = no_room(error.message, request.place.root)
    return DiskFull(full.message, hint=f"{full.hint}\n{error.hint}".strip(), **{**full.fields, **error.fields})


def _out_of_memory(error: StepFailed, request: JobRequest, peak: int | None) -> OutOfMemory:
    had = f"it had {request.granted.ram} MiB" if request.granted and request.limited else "it had no limit"
    used = f", and used {peak} MiB" if peak else ""
    return OutOfMemory(
        f"'{request.title}' ran out of memory: {had}{used}. It ended by itself with exit code "
        f"{error.fields['exit_code']}",
        hint=f"raise ramMin in the tool's ResourceRequirement\n{error.hint}".strip(),
        **error.fields,
    )


def _expression(request: JobRequest, fence: Fence | None) -> JobReport:
    made = building.context(request.options, request.place, request.name, request.granted, fence=fence)
    try:
        builder = bind(request.tool, request.inputs, made)
        normalizeFilesDirs(builder.job)
        outputs: Any = builder.do_eval(request.tool.tool["expression"])
        normalizeFilesDirs(outputs)
        if fence is not None:
            fence.value(outputs, request.options.basedir or "/")
    except Exception as error:
        raise named(error, f"'{request.title}' can't be evaluated") from error
    if not isinstance(outputs, dict):
        raise StepFailed(
            f"the expression of '{request.title}' gave {type(outputs).__name__}: an object with one field "
            "an output was expected"
        )
    return JobReport(Outcome.SUCCESS, outputs)
