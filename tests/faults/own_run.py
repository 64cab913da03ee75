"""A run that is its own worker: `celeriac run` without a broker, with processes of its own for its steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from signal import SIGKILL
from subprocess import Popen

import psutil

from tests.acceptance.commands import HANG
from tests.acceptance.test_hands import hands
from tests.faults.journal import until
from tests.faults.site import Site
from tests.faults.workflow import Reference


@dataclass(frozen=True)
class OwnRun:
    """The command and its run."""

    site: Site
    command: Popen[str]
    id: str

    @property
    def hands(self) -> list[psutil.Process]:
        """The processes that it has forked for its steps."""
        return hands(self.command.pid)

    def killed(self) -> None:
        """SIGKILL the command alone."""
        self.command.send_signal(SIGKILL)
        self.command.wait(HANG)

    def resumed(self) -> None:
        """Go on with it in another command, to its end."""
        self.site.embedded("resume", "--quiet", self.id)

    def succeeded(self) -> None:
        """Wait till the command has ended as it should, and say what it said when it has not."""
        _, said = self.command.communicate(timeout=HANG)
        assert self.command.returncode == 0, said


@contextmanager
def own_run(site: Site, what: Reference, *words: str) -> Iterator[OwnRun]:
    """Start the reference workflow; at the end of the block the command is killed if it still runs."""
    document, job = site.write("reference", what.document), site.write("job", what.job)
    options = () if what.containers else ("--no-container",)
    before = set(site.view.runs())
    with site.embedded.start("run", "--quiet", *options, *words, str(document), str(job)) as command:
        (run,) = until(lambda: set(site.view.runs()) - before, "the run does not begin")
        yield OwnRun(site, command, run)
