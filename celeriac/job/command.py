"""A job as cwltool built it -> the command that a runner takes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from cwltool.job import JobBase
from cwltool.utils import HasReqsHints

from celeriac.container.base import Command, ContainerSpec, Image, Sharing
from celeriac.errors import CommandNotFound, UnsupportedError
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.request import JobRequest
from celeriac.job.stage import CONTAINER_TMP, Mounts
from celeriac.names import container_of


def docker_required(job: JobBase) -> bool:
    """Whether the tool insists on its container."""
    return bool(_requirement(job, "DockerRequirement")[1])


def _requirement(job: JobBase, name: str) -> tuple[Any, bool | None]:
    """Return a requirement and whether it is one: False for a hint."""
    return job.builder.get_requirement(name)


def image_of(holder: HasReqsHints, options: RunOptions) -> Image | None:
    """Return the image to run in; None: as a process. Raises :class:`~celeriac.errors.UnsupportedError`."""
    requirement: Any
    requirement, required = holder.get_requirement("DockerRequirement")
    if not options.use_container:
        if required:
            raise UnsupportedError(
                "the tool has a DockerRequirement under `requirements`, but containers are turned off",
                hint="run it without --no-container",
            )
        return None
    if requirement is None:
        return Image(options.default_container, pull=options.default_container) if options.default_container else None
    name = requirement.get("dockerImageId") or requirement.get("dockerPull")
    if not name:
        raise UnsupportedError("DockerRequirement names no image: dockerPull or dockerImageId was expected")
    return Image(
        name=str(name),
        pull=requirement.get("dockerPull"),
        load=requirement.get("dockerLoad"),
        file=requirement.get("dockerFile"),
        import_url=requirement.get("dockerImport"),
    )


def _streams(job: JobBase, place: Place) -> tuple[Path | None, Path, Path]:
    stdin = None
    if job.stdin is not None:
        found = job.pathmapper.reversemap(job.stdin)
        stdin = Path(found[1]) if found else Path(job.stdin)
    stdout = place.out / job.stdout if job.stdout else place.stdout
    stderr = place.out / job.stderr if job.stderr else place.stderr
    for name, path in ((job.stdout, stdout), (job.stderr, stderr)):
        if name and "/" in name:
            path.parent.mkdir(parents=True, exist_ok=True)
    return stdin, stdout, stderr


def process_command(job: JobBase, request: JobRequest) -> Command:
    """Return the command of a plain process. Raises :class:`~celeriac.errors.CommandNotFound`."""
    stdin, stdout, stderr = _streams(job, request.place)
    argv = tuple(str(word) for word in job.command_line)
    env = {key: str(value) for key, value in job.environment.items()}
    if request.gpus:
        env["CUDA_VISIBLE_DEVICES"] = ",".join(request.gpus)
    if shutil.which(argv[0], path=env.get("PATH")) is None and not (request.place.out / argv[0]).exists():
        raise CommandNotFound(
            f"'{argv[0]}', the program of '{request.title}', was not found on this host",
            hint="install it, or give the tool a DockerRequirement",
            command=list(argv),
        )
    memory, cpus = _limits(job, request)
    return Command(
        name=request.name,
        argv=argv,
        env=env,
        workdir=str(request.place.out),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        time_limit=_time_limit(job, request),
        memory=memory,
        cpus=cpus,
    )


def container_command(job: JobBase, request: JobRequest, image: Image, mounts: Mounts) -> Command:
    """Return the command that runs in a container."""
    stdin, stdout, stderr = _streams(job, request.place)
    options = request.options
    shm, _ = _requirement(job, "http://commonwl.org/cwltool#ShmSize")
    memory, cpus = _limits(job, request)
    network = _network(job, request, mounts)
    env = {key: str(value) for key, value in job.environment.items()}
    env.update({"HOME": job.builder.outdir, "TMPDIR": CONTAINER_TMP})
    return Command(
        name=container_of(request.name),
        argv=tuple(str(word) for word in job.command_line),
        env={key: value for key, value in env.items() if key != "PATH" or "PATH" in _declared_env(job)},
        workdir=job.builder.outdir,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        time_limit=_time_limit(job, request),
        exact_output=bool(job.stdout or job.stderr),
        memory=memory,
        cpus=cpus,
        container=ContainerSpec(
            image=image,
            mounts=mounts.all(),
            user=f"{os.geteuid()}:{os.getegid()}" if options.match_user else None,
            network=network,
            read_only=options.read_only,
            shm_size=str(shm["shmSize"]) if shm else None,
            gpus=request.gpus,
            allow_pull=options.pull,
            force_pull=options.force_pull,
            labels=request.labels,
            sharing=_sharing(job, request),
        ),
    )


def _sharing(job: JobBase, request: JobRequest) -> Sharing | None:
    if not request.group:
        return None
    place = request.place
    return Sharing(request.group, own=(place.root, place.tmp), directory=place.root.parent, inputs=job.builder.stagedir)


def _limits(job: JobBase, request: JobRequest) -> tuple[int | None, float | None]:
    """Return the limits of memory (bytes) and CPUs: what $(runtime) told the tool, where that is a limit."""
    resources, options = job.builder.resources, request.options
    memory = int(resources["ram"]) * 2**20 if request.limited or options.strict_memory_limit else None
    cpus = float(resources["cores"]) if request.limited or options.strict_cpu_limit else None
    return memory, cpus


def _time_limit(job: JobBase, request: JobRequest) -> float | None:
    """Return the seconds that the tool may take: its own limit or its queue's, whichever is shorter."""
    limits = [limit for limit in (job.timelimit, request.max_runtime) if limit]
    return min(limits, default=None)


def _declared_env(job: JobBase) -> set[str]:
    requirement, _ = _requirement(job, "EnvVarRequirement")
    return {entry["envName"] for entry in requirement["envDef"]} if requirement else set()


def _network(job: JobBase, request: JobRequest, mounts: Mounts) -> str | None:
    """Return the network that a tool gets (CWL v1.2, NetworkAccess); without one it has a name for itself alone."""
    network = request.options.custom_network if job.networkaccess else "none"
    if network == "none":
        mounts.name_localhost(Path(request.own) if request.own else request.place.root)
    return network
