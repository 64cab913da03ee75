"""What a runner was told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from celeriac.failpoints import Reach, nothing

DEFAULT_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True)
class DockerOptions:
    """See :class:`~celeriac.container.docker.runner.DockerRunner`."""

    base_url: str | None
    lock_directory: Path | None
    stop_grace: float  # seconds
    patience: float  # seconds
    reach: Reach = nothing

    @property
    def url(self) -> str:
        """The engine's address, for people."""
        return self.base_url or f"unix://{DEFAULT_SOCKET}"

    @property
    def is_local(self) -> bool:
        """Whether the engine shares this host's kernel, as far as its address tells."""
        return self.url.startswith(("unix:", "http+unix:", "/"))


def may_answer(url: str) -> bool:
    """Whether an engine may be there at all: where it is a socket's file, that is told without asking."""
    path = url.partition("unix://")[2]
    return not path or Path(path).exists()
