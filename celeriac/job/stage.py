"""Stage a job's inputs: symbolic links for a plain process, mounts for a container."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from pathlib import Path

from cwltool.job import JobBase, relink_initialworkdir
from cwltool.pathmapper import MapperEnt, PathMapper
from cwltool.process import stage_files
from cwltool.utils import ensure_non_writable, ensure_writable

from celeriac.container.base import Mount
from celeriac.errors import DocumentError, InputError
from celeriac.job.place import Place
from celeriac.job.watch import Check, copy, never

CONTAINER_TMP = "/tmp"
#: What a container without a network has for names: its engine makes no such file then.
HOSTS, LOCALHOST = "/etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"


def check_inputs(mapper: PathMapper) -> None:
    """Raise :class:`~celeriac.errors.InputError` for an input file that is not there."""
    check_targets(mapper)
    for location in mapper.files():
        entry = mapper.mapper(location)
        if entry.type == "File" and entry.staged and not os.path.isfile(entry.resolved):
            raise InputError(f"the input file {entry.resolved} was not found or is no regular file")


def check_targets(mapper: PathMapper, root: str = "/") -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for what would be put outside of ``root``, or by ``..``.

    A ``basename`` may come from anywhere: a job, an expression, what a tool wrote about its outputs.
    """
    for _, entry in mapper.items():
        if entry.staged and (".." in entry.target.split("/") or not _is_within(entry.target, root)):
            raise DocumentError(
                f"the basename '{os.path.basename(entry.target)}' of {entry.resolved[:200]} would put it at "
                f"{os.path.normpath(entry.target)}, outside the directory that it belongs to",
                hint="a basename is a name without '/'",
            )


def link(job: JobBase, literals: PathMapper | None) -> None:
    """Stage for a plain process."""
    check_targets(job.pathmapper, job.builder.stagedir)
    stage_files(job.pathmapper, ignore_writable=True, symlink=True)
    if literals is not None:
        check_targets(literals, job.outdir)
        stage_files(literals, ignore_writable=job.inplace_update, symlink=True)
        relink_initialworkdir(literals, job.outdir, job.builder.outdir, inplace_update=job.inplace_update)


class Mounts:
    """Collects the mounts of one container, copying what the tool may write."""

    def __init__(self, job: JobBase, place: Place, any_path: bool, check: Check = never) -> None:
        self._check = check
        self._job = job
        self._place = place
        self._inner = job.builder.outdir
        self._any_path = any_path
        self._found: dict[str, Mount] = {}
        self._add(str(place.out), self._inner, writable=True)
        self._add(str(place.tmp), CONTAINER_TMP, writable=True)

    def all(self) -> tuple[Mount, ...]:
        """Return the mounts; parents come before what lies in them."""
        return tuple(sorted(self._found.values(), key=lambda mount: mount.target.count("/")))

    def name_localhost(self, directory: Path) -> None:
        """Have the name ``localhost`` known in a container without a network, by a file in ``directory``."""
        if HOSTS not in self._found:
            self._add(str(_hosts(directory)), HOSTS)

    def stage(self, mapper: PathMapper, *, literals: bool = False) -> None:
        """Add what a mapping asks for."""
        check_targets(mapper)
        for key, entry in list(mapper.items()):
            if not entry.staged:
                continue
            host = self._host(entry.target)
            if host is None and literals and not self._any_path:
                raise DocumentError(
                    f"InitialWorkDirRequirement puts a file at {entry.target}, outside the output directory",
                    hint="that needs a DockerRequirement under `requirements`",
                )
            if entry.type in ("CreateFile", "CreateWritableFile"):
                path = self._create(entry, host)
                mapper.update(key, str(path), entry.target, entry.type, entry.staged)
            else:
                self._place_entry(entry, host)

    def tame_links(self) -> None:
        """Make the symbolic links that a container left point to what they meant, or to nothing.

        Their targets are paths of the container. One that led out of what was mounted would have the
        host read a file of its own, such as ``/etc/passwd``, and publish it: such a link is removed.
        """
        for directory, folders, files in os.walk(self._place.out):
            for name in (*folders, *files):
                path = os.path.join(directory, name)
                if os.path.islink(path):
                    self._tame(path)

    def _tame(self, path: str) -> None:
        wanted = os.readlink(path)
        if os.path.isabs(wanted):
            inside = os.path.normpath(wanted)
        else:
            relative = os.path.relpath(os.path.dirname(path), self._place.out)
            inside = os.path.normpath(os.path.join(self._inner, relative, wanted))
        mount = max(
            (m for m in self._found.values() if inside == m.target or inside.startswith(m.target + "/")),
            key=lambda m: len(m.target),
            default=None,
        )
        os.unlink(path)
        if mount is None or mount.target in (CONTAINER_TMP, HOSTS):
            return
        host = os.path.realpath(mount.source + inside[len(mount.target) :])
        around = _is_within(os.path.realpath(os.path.dirname(path)), host)  # a loop: it has no end
        if os.path.exists(host) and _is_within(host, os.path.realpath(mount.source)) and not around:
            os.symlink(host, path)

    def _host(self, target: str) -> Path | None:
        """Return the host's path of a target inside the output directory."""
        if target.startswith(self._inner + "/"):
            return self._place.out / target[len(self._inner) + 1 :]
        return None

    def _add(self, source: str, target: str, *, writable: bool = False) -> None:
        self._found[target] = Mount(source, target, writable)

    def _place_entry(self, entry: MapperEnt, host: Path | None) -> None:
        literal = entry.resolved.startswith("_:")
        if entry.type in ("File", "Directory"):
            if not literal:
                if host is not None:
                    _mount_point(host, entry.type)
                self._add(entry.resolved, entry.target)
            elif host is not None:
                host.mkdir(parents=True, exist_ok=True)
            else:
                self._add(str(self._scratch(entry.target, directory=True)), entry.target)
        elif entry.type in ("WritableFile", "WritableDirectory"):
            if self._job.inplace_update and not literal:
                self._add(entry.resolved, entry.target, writable=True)
            else:
                self._copy(entry, host, literal)

    def _copy(self, entry: MapperEnt, host: Path | None, literal: bool) -> None:
        path = host or self._scratch(entry.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        if literal:
            path.mkdir(exist_ok=True)
        elif entry.type == "WritableFile":
            copy(entry.resolved, str(path), self._check)
        else:
            copying = functools.partial(copy, check=self._check)
            shutil.copytree(entry.resolved, path, dirs_exist_ok=True, copy_function=copying)
        ensure_writable(str(path), include_root=True)
        if host is None:
            self._add(str(path), entry.target, writable=True)

    def _create(self, entry: MapperEnt, host: Path | None) -> Path:
        path = host or self._scratch(entry.target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(entry.resolved, encoding="utf-8")
        writable = entry.type == "CreateWritableFile"
        (ensure_writable if writable else ensure_non_writable)(str(path))
        if host is None:
            self._add(str(path), entry.target, writable=writable)
        return path

    def _scratch(self, target: str, directory: bool = False) -> Path:
        made = Path(tempfile.mkdtemp(prefix="lit", dir=self._place.root)) / os.path.basename(target)
        if directory:
            made.mkdir()
        return made


def _hosts(directory: Path) -> Path:
    """Return the file of names, made where it is not there: one for all jobs of a run."""
    path = directory / "hosts"
    if not path.exists():
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=directory, prefix=".hosts", delete=False, encoding="ascii") as file:
            file.write(LOCALHOST)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)  # whole at once: others may mount it just now
    return path


def _mount_point(host: Path, kind: str) -> None:
    """Make what will be mounted on: the engine would make it root's, whom nobody else can clean up after."""
    host.parent.mkdir(parents=True, exist_ok=True)
    if kind == "Directory":
        host.mkdir(exist_ok=True)
    else:
        host.touch(exist_ok=True)


def _is_within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
