"""Items of a scattered step that run in one container, one after the other."""

from __future__ import annotations

from contextlib import closing

import docker
from docker.models.containers import Container

from celeriac.journal.tables import Record
from celeriac.names import container_of
from tests.faults.journal import until
from tests.faults.site import Site
from tests.faults.workflow import Reference

#: What has items share.
SHARE = "--reuse-container"
#: Steps; four items at a time, which is more than there are slots: some come after others.
SIZE = 14


def shared(seconds: float) -> Reference:
    """Return a workflow whose items share."""
    return Reference(SIZE, seconds)


def handed_on(site: Site, run: str) -> tuple[Record, Container]:
    """Wait until an item runs in a container that was another's before; return its attempt and the container."""

    def look() -> tuple[Record, Container] | None:
        at_work = {container_of(attempt.id): attempt for attempt in site.view.running(run)}
        with closing(docker.DockerClient(base_url=site.docker)) as client:
            for one in client.containers.list(filters={"label": f"celeriac.run={run}"}, ignore_removed=True):
                attempt = at_work.get(one.name)
                if attempt is not None and one.labels["celeriac.attempt"] != attempt.id:
                    return attempt, one
        return None

    return until(look, f"no item of run {run} runs in a container that was another's", pause=0.02)
