"""Which attempts have containers that were made from this host."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from docker.errors import APIError

from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.owner import ATTEMPT, HOST, SHARED, is_dead
from celeriac.names import attempt_of

log = logging.getLogger(__name__)


def attempts(connection: Connection, host: str) -> frozenset[str]:
    """Return the attempts with a container, running or not, that a host of this boot id had made.

    Nothing where no engine answers, or not soon: it may be that there never was one. A container that
    attempts share is its owner's while that lives, whatever became of the last of them.
    """
    filters = {"label": [f"{HOST}={host}", ATTEMPT]}
    try:
        found = connection.brisk.containers(all=True, filters=filters)
    except (APIError, *NO_ANSWER) as error:
        log.debug("the containers of this host are not known: %s", error)
        return frozenset()
    return frozenset(_attempt(one) for one in found if not _is_kept(one["Labels"]))


def _is_kept(labels: Mapping[str, str]) -> bool:
    return SHARED in labels and is_dead(labels) is not True


def _attempt(one: Mapping[str, Any]) -> str:
    labels = one["Labels"]
    return attempt_of(one["Names"][0].lstrip("/")) if SHARED in labels and one["Names"] else str(labels[ATTEMPT])
