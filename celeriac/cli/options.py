"""The options that `run` and `submit` share, and what becomes of them."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from typing import Any

from celeriac.errors import UnsupportedError, UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Add the options of the CWL runner contract that say how tools run."""
    parser.add_argument(
        "--outdir", metavar="DIR", help="where the outputs go (default: run: here, submit: the run's own directory)"
    )
    parser.add_argument("--basedir", metavar="DIR", help="where relative inputs start (default: the job file's)")
    parser.add_argument("--quiet", "-q", action="store_true", help="print only outputs and errors")
    parser.add_argument("--debug", action="store_true", help="print what Celeriac does, and where errors come from")
    tools = parser.add_argument_group("tools")
    tools.add_argument(
        "--no-container", action="store_true", help="run tools as processes; DockerRequirement hints are ignored"
    )
    tools.add_argument("--default-container", metavar="IMAGE", help="the image for tools that name none")
    tools.add_argument("--podman", action="store_true", help="use Podman's Docker-compatible socket")
    tools.add_argument("--no-match-user", action="store_true", help="run containers as the image's user, not as you")
    tools.add_argument("--no-read-only", action="store_true", help="let tools write to their container's file system")
    tools.add_argument("--custom-net", metavar="NETWORK", help="the network of tools with NetworkAccess")
    tools.add_argument(
        "--reuse-container",
        action="store_true",
        help="run the items of a scattered step one after the other in one container",
    )
    tools.add_argument("--disable-pull", action="store_true", help="never fetch images")
    tools.add_argument("--force-docker-pull", action="store_true", help="fetch images even if they are here")
    tools.add_argument("--strict-memory-limit", action="store_true", help="end tools that use more than they ask for")
    tools.add_argument("--strict-cpu-limit", action="store_true", help="give tools no more CPUs than they ask for")
    tools.add_argument(
        "--preserve-environment",
        metavar="NAME",
        action="append",
        default=[],
        help="hand an environment variable to tools",
    )
    tools.add_argument(
        "--preserve-entire-environment", action="store_true", help="hand all environment variables to tools"
    )
    steps = parser.add_argument_group("the run")
    steps.add_argument(
        "--on-error",
        choices=("stop", "continue"),
        default="stop",
        help="after a step failed: start nothing new, or all that does not need it",
    )
    steps.add_argument(
        "--target", "-t", metavar="NAME", action="append", default=[], help="run only what this step or output needs"
    )
    steps.add_argument("--eval-timeout", metavar="SECONDS", type=float, help="time limit of one expression")
    steps.add_argument(
        "--tmpdir-prefix", "--tmp-outdir-prefix", metavar="PREFIX", help="where work directories are made"
    )
    steps.add_argument("--leave-tmpdir", "--leave-outputs", action="store_true", help="keep the work directories")
    steps.add_argument(
        "--rm-intermediate", action="store_true", help="remove a step's outputs when their last reader has ended"
    )
    steps.add_argument("--no-compute-checksum", action="store_true", help="leave out the checksums of outputs")
    steps.add_argument("--log-dir", metavar="DIR", help="copy the tools' logs here")
    steps.add_argument("--cachedir", metavar="DIR", help="keep the results of steps here too, and reuse them")
    steps.add_argument("--no-reuse", action="store_true", help="run every step, also where an earlier run did the same")
    steps.add_argument("--notify", metavar="URL", help="post progress, status and results of this run there, too")
    steps.add_argument("--notify-weblog", action="store_true", help="with --notify: post events as Nextflow does")
    steps.add_argument("--provenance", metavar="DIR", help="not supported yet: ends with exit code 33")
    steps.add_argument("--parallel", action="store_true", help=argparse.SUPPRESS)  # always so


def process(parser: argparse.ArgumentParser) -> None:
    """Add the document and its inputs."""
    parser.add_argument(
        "document", metavar="DOCUMENT", help="path or URL of a CWL document, #NAME picks a process of it"
    )
    parser.add_argument(
        "job", metavar="JOB", nargs=argparse.REMAINDER, help="a job file, or the document's own inputs as flags"
    )


def settings_of(args: argparse.Namespace) -> Any:
    """Return the settings, as the command line changes them."""
    from celeriac.settings import Settings

    settings = Settings.load()
    if not args.podman:
        return settings
    own = f"/run/user/{os.getuid()}/podman/podman.sock"
    return replace(settings, docker_host=f"unix://{own if os.getuid() else '/run/podman/podman.sock'}")


def run_options(args: argparse.Namespace, settings: Any, *, outdir: str | None, cleanup: bool) -> Any:
    """Return the :class:`~celeriac.job.options.RunOptions` that the command line asks for."""
    from celeriac.job.options import RunOptions
    from celeriac.settings import check_own_listener

    if args.provenance:
        raise UnsupportedError("--provenance is not supported yet", hint="leave it out to run the document")
    timeout = settings.eval_timeout if args.eval_timeout is None else args.eval_timeout
    if not timeout > 0:
        raise UsageError(f"--eval-timeout is {timeout}: a number above 0 was expected")
    if args.notify:
        check_own_listener(args.notify, "--notify")
    elif args.notify_weblog:
        raise UsageError("--notify-weblog goes with --notify URL", hint="CELERIAC_NOTIFY_WEBLOG is for all runs")
    prefix = os.path.abspath(args.tmpdir_prefix) if args.tmpdir_prefix else None
    return RunOptions(
        outdir=outdir,
        basedir=os.path.abspath(args.basedir) if args.basedir else "",
        on_error=args.on_error,
        use_container=not args.no_container,
        default_container=args.default_container,
        match_user=not args.no_match_user,
        read_only=not args.no_read_only,
        custom_network=args.custom_net,
        reuse_container=args.reuse_container,
        pull=not args.disable_pull,
        force_pull=args.force_docker_pull,
        strict_memory_limit=args.strict_memory_limit,
        strict_cpu_limit=args.strict_cpu_limit,
        preserve_environment=tuple(args.preserve_environment),
        preserve_entire_environment=args.preserve_entire_environment,
        compute_checksum=not args.no_compute_checksum,
        eval_timeout=timeout,
        scratch=prefix,
        keep_scratch=args.leave_tmpdir,
        log_dir=os.path.abspath(args.log_dir) if args.log_dir else None,
        cachedir=os.path.abspath(args.cachedir) if args.cachedir and not args.no_reuse else None,
        reuse=not args.no_reuse,
        remove_intermediate=args.rm_intermediate and not args.leave_tmpdir,
        notify=args.notify or None,
        notify_weblog=args.notify_weblog,
        cleanup=cleanup and not args.leave_tmpdir,
    )
