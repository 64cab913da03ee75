"""Create a container under a name that only one attempt can have, and remove it."""

from __future__ import annotations

import logging
import time

from docker.errors import APIError, NotFound

from celeriac.container.base import CancelToken, Command, ContainerSpec
from celeriac.container.docker.absence import await_engine, later
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.create import container_arguments, container_name, host_arguments
from celeriac.container.docker.images import Images
from celeriac.container.docker.state import State
from celeriac.container.owner import is_dead, owner_labels
from celeriac.errors import NameTaken

log = logging.getLogger(__name__)

#: Times that a removal is tried, and the seconds between two.
REMOVALS, REMOVAL_PAUSE = 5, 1.0
#: Seconds within which a container that is being removed must be gone, and those between two tries.
CLEARED_WITHIN, CLEAR_PAUSE = 10.0, 0.1

_HTTP_NOT_FOUND, _HTTP_CONFLICT = 404, 409


class Fence:
    """The containers of one engine, by name: the engine refuses a second one of the same name."""

    def __init__(self, connection: Connection, images: Images) -> None:
        self._connection = connection
        self._images = images

    def create(self, command: Command, spec: ContainerSpec, cancel: CancelToken) -> str:
        """Return the id of a new container; images and names that went stale get a second try.

        An engine that went away is waited for: to fail at once would use up the attempts in a second.
        """
        await_engine(self._connection, command.name, cancel)
        for last_try in (False, True):
            image = self._images.identify(
                spec.image, allow_pull=spec.allow_pull, force_pull=spec.force_pull, cancel=cancel
            )
            if cancel.cancelled:
                raise cancel.error(command.name)
            try:
                return self._create_once(command, spec, image)
            except APIError as error:
                if error.status_code == _HTTP_CONFLICT:
                    self._clear_name(command, error)
                elif error.status_code == _HTTP_NOT_FOUND:
                    self._images.forget(spec.image)
                if last_try or error.status_code not in (_HTTP_CONFLICT, _HTTP_NOT_FOUND):
                    raise
            except NO_ANSWER:  # it had answered a moment ago, and was not asked again
                if last_try:
                    raise
                self._connection.doubt()
                await_engine(self._connection, command.name, cancel)
        raise AssertionError("unreachable")

    def _create_once(self, command: Command, spec: ContainerSpec, image: str) -> str:
        client = self._connection.client
        host = host_arguments(command, spec, is_local=self._connection.options.is_local)
        # the owner is set here, since here it is read: see _clear_name
        arguments = container_arguments(command, spec, image, owner_labels())
        self._connection.options.reach("create.before")
        answer = client.create_container(**arguments, host_config=client.create_host_config(**host))
        self._connection.options.reach("create.after")
        return str(answer["Id"])

    def rename(self, container: str, command: Command) -> bool:
        """Give a container that commands share the name of the next one; return whether it is there to take it.

        Raises :class:`~celeriac.errors.NameTaken` as :meth:`create` does.
        """
        for last_try in (False, True):
            try:
                self._connection.client.rename(container, container_name(command.name))
                return True
            except NotFound:
                return False
            except APIError as error:
                if last_try or error.status_code != _HTTP_CONFLICT:
                    log.debug("the container %s can't be renamed: %s", container, error)
                    return False
                self._clear_name(command, error)
        raise AssertionError("unreachable")

    def _clear_name(self, command: Command, conflict: APIError) -> None:
        """Remove a dead holder of the name: its name is the fence between two attempts."""
        name = container_name(command.name)
        try:
            found = self._connection.client.inspect_container(name)
        except NotFound:
            return
        dead = is_dead(found["Config"].get("Labels") or {})
        state = State.of(found)
        if dead or (dead is None and state.status in ("exited", "dead")):
            self.remove(found["Id"])
            return
        raise NameTaken(
            f"a container named '{name}' is there already ({state.status}), and its owner may be alive",
            hint=f"another attempt with this name is under way; if not so, `docker rm -f {name}`",
            name=command.name,
            container=found["Id"],
        ) from conflict

    def clear(self, name: str) -> bool:
        """Remove the container of a command, whoever made it; return whether it is gone. Never raises."""
        until = time.monotonic() + CLEARED_WITHIN
        container = container_name(name)
        try:
            while True:
                try:
                    self._connection.client.remove_container(container, force=True, v=True)
                    self._connection.client.inspect_container(container)
                except NotFound:
                    return True
                except APIError as error:  # it is being removed already, or does not die
                    log.debug("the container %s is not removed yet: %s", container, error)
                if time.monotonic() > until:
                    break
                time.sleep(CLEAR_PAUSE)
        except NO_ANSWER as error:
            log.debug("no answer on the container %s: %s", container, error)
        return False

    def remove(self, container: str) -> None:
        """Kill and remove, with anonymous volumes. What an absent engine keeps is removed when it is back."""
        for left in reversed(range(REMOVALS)):
            problem = self._remove_once(container)
            if problem is None:
                return
            if left:
                time.sleep(REMOVAL_PAUSE)
        log.warning("the container %s is not removed yet: %s", container, problem)
        # after the patience it is the sweep's
        later(self._connection, lambda: self._remove_once(container), f"the container {container} is not removed")

    def _remove_once(self, container: str) -> Exception | None:
        """Return what prevents it; None: it is gone, or on its way."""
        try:
            self._connection.client.remove_container(container, force=True, v=True)
        except APIError as error:
            is_gone = isinstance(error, NotFound) or error.status_code == _HTTP_CONFLICT  # it is being removed
            return None if is_gone else error
        except NO_ANSWER as error:
            return error
        return None
