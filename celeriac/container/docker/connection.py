"""One pooled client for each engine, made at the first call; what it means when nobody answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from docker import APIClient
from docker.errors import APIError, DockerException
from docker.transport import UnixHTTPAdapter
from docker.utils import version_lt
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from urllib3.exceptions import HTTPError

from celeriac.container.docker.options import DockerOptions
from celeriac.errors import ContainerError, EnginePermissionDenied, EngineUnreachable

#: Connections kept open: more may be in use, so many are kept.
POOL = 32
#: Seconds to connect; seconds for an answer. A busy engine may take long to start a container.
TIMEOUT = (5, 120)
#: Seconds for the first answer of all.
FIRST_TIMEOUT = 8
#: The same of a question that can be left unanswered; an engine of before one-shot thinks for two seconds.
BRISK_TIMEOUT = (1, 3)
#: Seconds after an answer within which the engine is taken to be there.
FRESH = 1.0
_ONE_SHOT = "1.41"  # the API of Docker 20.10

#: All that a call can raise when the engine gave no answer (an APIError is an answer).
NO_ANSWER = (RequestException, HTTPError, DockerException, OSError)


class Connection:
    """The way to one engine. Safe to use from many threads."""

    def __init__(self, options: DockerOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._client: APIClient | None = None
        self._brisk: APIClient | None = None
        self._heard = -FRESH

    @property
    def client(self) -> APIClient:
        """The pooled client; the first use asks the engine for its version."""
        with self._lock:
            if self._client is None:
                self._client = self._connect("auto")
            return self._client

    @property
    def has_answered(self) -> bool:
        """Whether the engine has ever answered this process."""
        return self._client is not None

    @property
    def has_just_answered(self) -> bool:
        """Whether the engine has answered a moment ago."""
        return time.monotonic() - self._heard < FRESH

    @property
    def brisk(self) -> APIClient:
        """A second client, for what may as well stay unanswered."""
        version = self.client.api_version
        with self._lock:
            if self._brisk is None:
                self._brisk = self._connect(version)
                self._brisk.timeout = BRISK_TIMEOUT  # type: ignore[assignment]
            return self._brisk

    @property
    def has_one_shot(self) -> bool | None:
        """Whether the engine tells statistics at once, not after a second look; None: the question is unknown."""
        return None if version_lt(self.client.api_version, _ONE_SHOT) else True

    def apart(self) -> APIClient:
        """Return a client of its own for something long, with no time limit on answers."""
        client = self._connect(self.client.api_version)
        client.timeout = None  # type: ignore[assignment]
        return client

    def close(self) -> None:
        """Close all connections that are not in use."""
        with self._lock:
            clients = self._client, self._brisk
            self._client = self._brisk = None
        for client in clients:
            if client is not None:
                client.close()

    def _connect(self, version: str) -> APIClient:
        client = APIClient(self.options.base_url, version=version, timeout=FIRST_TIMEOUT, max_pool_size=POOL)
        client.trust_env = False  # no proxy between us and the engine, no .netrc read for each call
        adapter = client.get_adapter(client.base_url)
        if isinstance(adapter, UnixHTTPAdapter):
            client.mount("http+docker://", _OnePool(adapter.socket_path, FIRST_TIMEOUT, max_pool_size=POOL))
        else:
            client.mount("http://", HTTPAdapter(pool_maxsize=POOL))
        client.timeout = TIMEOUT  # type: ignore[assignment]  # requests takes both apart
        client.hooks["response"].append(self._hear)
        return client

    def doubt(self) -> None:
        """Take the engine to be there no more than it says from now on."""
        self._heard = -FRESH

    def _hear(self, *_: Any, **__: Any) -> None:
        self._heard = time.monotonic()

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Turn the lack of an answer into an error that a user can act on; let answers through."""
        try:
            yield
        except APIError:
            raise
        except NO_ANSWER as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: BaseException) -> ContainerError:
        """Return what to raise when the engine gave no answer."""
        url = self.options.url
        causes = list(_causes(error))
        if any(isinstance(cause, PermissionError) for cause in causes):
            return EnginePermissionDenied(
                f"this user may not use the container engine at {url}",
                hint="add the user to the group that owns the socket (usually `docker`) and log in anew, "
                "or run with --no-container",
                url=url,
            )
        return EngineUnreachable(
            f"the container engine at {url} does not answer: {_why(causes)}",
            hint="start the engine, set its address (DOCKER_HOST), or run with --no-container",
            url=url,
        )


class _OnePool(UnixHTTPAdapter):
    """The SDK's adapter, with one pool: the SDK makes one for each path, and so a socket for each call."""

    def get_connection(self, url: Any, proxies: Any = None) -> Any:
        return super().get_connection("http+docker://localhost", proxies)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what lies under it: the SDK wraps a socket's error four times."""
    pending, seen = [error], set[int]()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        pending += [cause for cause in inner if isinstance(cause, BaseException)]


def _why(causes: list[BaseException]) -> str:
    for cause in reversed(causes):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return str(causes[-1]) or type(causes[-1]).__name__
