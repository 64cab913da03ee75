"""Which attempts have containers that were made from this host."""

from __future__ import annotations

import logging

from docker.errors import APIError

from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.owner import ATTEMPT, HOST

log = logging.getLogger(__name__)


def attempts(connection: Connection, host: str) -> frozenset[str]:
    """Return the attempts with a container, running or not, that a host of this boot id had made.

    Nothing where no engine answers, or not soon: it may be that there never was one.
    """
    filters = {"label": [f"{HOST}={host}", ATTEMPT]}
    try:
        found = connection.brisk.containers(all=True, filters=filters)
    except (APIError, *NO_ANSWER) as error:
        log.debug("the containers of this host are not known: %s", error)
        return frozenset()
    return frozenset(one["Labels"][ATTEMPT] for one in found)
