"""The runners: where each is found and how it is called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmarks.works import Case, Work

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Room:
    """The folders of one run, used by nothing else."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def folder(self, name: str) -> Path:
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path


@dataclass(frozen=True)
class Runner:
    """A program that runs CWL documents; ``program`` is None where it is not installed."""

    name: str
    program: Path | None

    #: Takes seconds for a step, so that it is given small works only.
    slow = False
    #: The distribution whose version is reported.
    package = ""
    #: The exit code of a work that loads; None: this runner has no command that only does so.
    load_code: ClassVar[int | None] = None

    def command(self, case: Case, outdir: Path, room: Room) -> list[str]:
        """Return the command line that runs ``case`` with its outputs in ``outdir``."""
        raise NotImplementedError

    def command_for(self, work: Work, case: Case, outdir: Path, room: Room) -> list[str]:
        """Return the command line for a work, where it is another one than to run the case."""
        return self.command(case, outdir, room)

    def environment(self, room: Room) -> dict[str, str]:
        """Return the environment of a run: ours, less what would point Celeriac at a cluster.

        And with compiled modules: those of a checkout would be compiled at each start where somebody forbids
        to keep them, those of an installed program were compiled when it was installed.
        """
        assert self.program is not None
        without = ("CELERIAC_", "CELERY_", "PYTHONDONTWRITEBYTECODE")
        env = {k: v for k, v in os.environ.items() if not k.startswith(without)}
        # Toil calls helpers of its own by name.
        env["PATH"] = os.pathsep.join([str(self.program.parent), env.get("PATH", os.defpath)])
        env["TMPDIR"] = str(room.folder("tmp"))
        return env

    def version(self) -> str:
        """Return the version installed, or "" where there is none."""
        if self.program is None:
            return ""
        python = self.program.with_name("python")
        ask = f"import importlib.metadata as m; print(m.version({self.package!r}))"
        try:
            done = subprocess.run([python, "-c", ask], capture_output=True, text=True, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            return "unknown"
        return done.stdout.strip() or "unknown"


class Celeriac(Runner):
    package = "celeriac"
    load_code = 1  # it goes on to the first step, which fails

    def command(self, case: Case, outdir: Path, room: Room) -> list[str]:
        return self._run(case, outdir)

    def command_for(self, work: Work, case: Case, outdir: Path, room: Room) -> list[str]:
        return self._run(case, outdir, *work.options)

    def _run(self, case: Case, outdir: Path, *options: str) -> list[str]:
        given = ["run", "--quiet", *options, "--outdir", str(outdir)]
        return [str(self.program), *given, str(case.document), str(case.job)]

    def environment(self, room: Room) -> dict[str, str]:
        # With slots of its own: what else runs on the host takes none of them.
        own = {"CELERIAC_HOME": str(room.folder("home")), "CELERIAC_SLOTS_DIR": str(room.folder("slots"))}
        return {**super().environment(room), **own}


class Cwltool(Runner):
    package = "cwltool"
    load_code = 0

    def command_for(self, work: Work, case: Case, outdir: Path, room: Room) -> list[str]:
        if work.loads:
            return [str(self.program), "--quiet", "--validate", str(case.document)]
        return self.command(case, outdir, room)

    def command(self, case: Case, outdir: Path, room: Room) -> list[str]:
        options = ["--quiet", "--parallel", "--outdir", str(outdir)]
        return [str(self.program), *options, str(case.document), str(case.job)]


class _Peer(Runner):
    slow = True

    def environment(self, room: Room) -> dict[str, str]:
        # They keep configuration and databases under the home.
        return {**super().environment(room), "HOME": str(room.folder("home"))}


class StreamFlow(_Peer):
    package = "streamflow"

    def command(self, case: Case, outdir: Path, room: Room) -> list[str]:
        """Write the StreamFlow file that it wants; without bindings, steps go to its local connector."""
        config = {"file": str(case.document), "settings": str(case.job)}
        content = {
            "version": "v1.0",
            "workflows": {"bench": {"type": "cwl", "config": config}},
            "database": {"type": "default", "config": {"connection": str(room.root / "streamflow.db")}},
        }
        file = case.document.with_name("streamflow.yml")
        file.write_text(json.dumps(content))
        return [str(self.program), "run", "--quiet", "--outdir", str(outdir), str(file)]


class Toil(_Peer):
    package = "toil"

    def command(self, case: Case, outdir: Path, room: Room) -> list[str]:
        store = room.folder("toil")
        # It would ask the registry for images that are here already, which no other runner does.
        options = ["--no-prepull", "--publishWorkflowMetrics", "no", "--quiet", "--clean", "always"]
        options += ["--jobStore", f"file:{store / outdir.name}", "--workDir", str(store)]
        options += ["--coordinationDir", str(store), "--outdir", str(outdir)]
        return [str(self.program), *options, str(case.document), str(case.job)]


#: What each runner is, and the program it is found by.
_KINDS: dict[str, tuple[type[Runner], str]] = {
    "celeriac": (Celeriac, "celeriac"),
    "cwltool": (Cwltool, "cwltool"),
    "streamflow": (StreamFlow, "streamflow"),
    "toil": (Toil, "toil-cwl-runner"),
}
NAMES = tuple(_KINDS)


def find(name: str) -> Runner:
    """Return the runner of that name, with its program where it is installed."""
    kind, program = _KINDS[name]
    return kind(name, _peer(name, program) if kind.slow else _ours(program))


def _ours(program: str) -> Path | None:
    """Look beside our own interpreter: the versions that setup.cfg pins are there."""
    path = Path(sys.executable).with_name(program)
    return path if path.exists() else None


def _peer(name: str, program: str) -> Path | None:
    """Look in BENCH_PEERS_VENV (one venv for all, or one for each), on the PATH, in .venv-peers."""
    given = os.environ.get("BENCH_PEERS_VENV")
    venvs = [Path(given).absolute()] if given else []
    found = shutil.which(program)
    on_path = [Path(found).absolute()] if found else []
    candidates = [place / "bin" / program for venv in venvs for place in (venv / name, venv)]
    candidates += [*on_path, CHECKOUT / ".venv-peers" / name / "bin" / program]
    return next((path for path in candidates if path.exists()), None)
