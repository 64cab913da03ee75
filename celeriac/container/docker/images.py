"""The images of one engine: asked for once, fetched by one at a time."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from docker.errors import APIError, ImageNotFound

from celeriac.container.base import CancelToken, Image
from celeriac.container.docker.absence import await_engine
from celeriac.container.docker.connection import NO_ANSWER, Connection
from celeriac.container.docker.fetch import DOCKERFILE_LABEL, FetchFailed, advice, can_fetch, digest, fetch
from celeriac.container.docker.interrupt import Interrupt, interruptible
from celeriac.container.docker.locks import NameLocks
from celeriac.container.docker.refusals import image_missing
from celeriac.errors import ContainerError


class Images:
    """Image -> id. Safe to use from many threads."""

    def __init__(self, connection: Connection, lock_directory: Path | None) -> None:
        self._connection = connection
        self._locks = NameLocks(lock_directory)
        self._guard = threading.Lock()
        self._ids: dict[Image, str] = {}
        self._fetched: set[Image] = set()
        self._entrypoints: dict[str, list[str]] = {}

    def identify(self, image: Image, *, allow_pull: bool, force_pull: bool, cancel: CancelToken) -> str:
        """Return an image's id, fetched if need be; see :meth:`celeriac.container.base.Runner.prepare`."""
        force = force_pull and allow_pull and can_fetch(image)
        known = self._known(image, fetched=force)
        if known:
            return known
        await_engine(self._connection, image.name, cancel)
        with self._connection.answering():
            found = None if force else self._find(image)
            if found is None:
                found = self._fetch_alone(image, allow_pull=allow_pull, force=force, cancel=cancel)
        with self._guard:
            self._ids[image] = found
        return found

    def entrypoint(self, identity: str) -> list[str]:
        """Return what an image puts before each command; raises what the engine says."""
        if identity not in self._entrypoints:
            found = self._inspect(identity).get("Config") or {}
            self._entrypoints[identity] = list(found.get("Entrypoint") or ())
        return self._entrypoints[identity]

    def forget(self, image: Image) -> None:
        """Ask the engine again next time: it had the image no more."""
        with self._guard:
            self._ids.pop(image, None)
            self._fetched.discard(image)

    def _known(self, image: Image, *, fetched: bool) -> str | None:
        with self._guard:
            return self._ids.get(image) if image in self._fetched or not fetched else None

    def _find(self, image: Image) -> str | None:
        """Return the id of an image that is here; one of another Dockerfile's text is not the image."""
        try:
            found = self._inspect(image.name)
        except ImageNotFound:
            return None
        except APIError as error:
            raise image_missing(image.name, str(error.explanation)) from error
        built_from = ((found.get("Config") or {}).get("Labels") or {}).get(DOCKERFILE_LABEL)
        if image.file is not None and built_from not in (None, digest(image.file)):
            return None
        return str(found["Id"])

    def _fetch_alone(self, image: Image, *, allow_pull: bool, force: bool, cancel: CancelToken) -> str:
        if not can_fetch(image):
            hint = "give it a dockerPull, or bring it to this host (`docker pull`, `docker load`)"
            raise image_missing(image.name, "it is not on this host, and nothing says where to get it", hint)
        if not allow_pull:
            hint = f"`docker pull {image.pull or image.name}`, or allow pulling"
            raise image_missing(image.name, "it is not on this host, and pulling is turned off", hint)
        with self._locks.holding(image.name, cancel):
            known = self._known(image, fetched=True)
            found = known if known or force else self._find(image)  # another one may have fetched it
            if found is None:
                found = self._fetch(image, cancel)
            with self._guard:
                self._fetched.add(image)
                self._ids[image] = found
            return found

    def _fetch(self, image: Image, cancel: CancelToken) -> str:
        def work(interrupt: Interrupt) -> str:
            client = interrupt.watch(self._connection.apart())
            try:
                return fetch(client, image, interrupt)
            finally:
                client.close()

        try:
            there = interruptible(work, cancel, image.name)
        except (APIError, FetchFailed) as error:
            why = str(getattr(error, "explanation", None) or error)
            raise image_missing(image.name, why, advice(image)) from error
        except NO_ANSWER as error:
            raise self._failed(image, error) from error
        return self._find_fetched(image, there)

    def _find_fetched(self, image: Image, there: str) -> str:
        """Return the id under the name that the document says, else under the one that came."""
        found = self._find(image)
        if found:
            return found
        if image.pull is None:
            hint = f"set dockerImageId to '{there}'"
            raise image_missing(image.name, f"what was fetched is '{there}'", hint)
        try:
            return str(self._inspect(there)["Id"])
        except APIError as error:
            raise image_missing(image.name, f"it is not there after its pull: {error.explanation}") from error

    def _inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self._connection.client.inspect_image(name)  # type: ignore[no-untyped-call]
        return found

    def _failed(self, image: Image, error: Exception) -> ContainerError:
        """An archive that can't be read is no fault of the engine's: does the engine answer?"""
        try:
            self._connection.client.ping()
        except NO_ANSWER as silence:
            return self._connection.unavailable(silence)
        return image_missing(image.name, str(error), advice(image))
