"""What is asked of the job runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cwltool.process import Process

from celeriac.job.digests import Digests
from celeriac.job.options import RunOptions
from celeriac.job.place import Place
from celeriac.job.secret import Secrets
from celeriac.resources import Resources

if TYPE_CHECKING:
    from celeriac.job.reuse import Earlier


@dataclass(frozen=True)
class JobRequest:
    """One attempt to run one tool."""

    tool: Process
    inputs: dict[str, Any]
    place: Place
    options: RunOptions
    name: str  # unique: the attempt's id
    title: str  # for people: the step's path
    granted: Resources | None = None  # what it has: $(runtime) tells it; None: what it asks for
    limited: bool = False  # what it was granted is a limit
    gpus: tuple[str, ...] = ()  # ids of this host's GPUs that are its own
    queue: str = ""
    temporary: frozenset[int] = frozenset()  # exit codes that mean so, beside the tool's temporaryFailCodes
    max_runtime: float | None = None  # seconds, the queue's limit
    labels: Mapping[str, str] = field(default_factory=dict)
    group: str = ""  # jobs of one group may run in one container, one after the other; "": this one may not
    own: str = ""  # the run's directory: checksums of large files there are as good as new
    digests: Digests = field(default_factory=Digests)
    secrets: Secrets | None = None  # its run's secret values: its inputs have placeholders; None: there are none
    earlier: Earlier | None = None  # whom to ask for the outputs of an equal job; None: nobody
