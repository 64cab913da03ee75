"""One HTTP post, bounded in time and size. Redirects, proxies and stored credentials are not followed or used.

The standard library's client, since all of a post has one deadline here: others count the time between two
bytes, so that a listener which sends one at a time would hold its line, and a thread of ours, for ever.
"""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from celeriac.notify.retry import Answer, Kind, of_status
from celeriac.version import VERSION

#: Bytes of a body, and of an answer, at most.
LARGEST = 64 * 1024 * 1024
_READ = 64 * 1024
#: Seconds that a listener may ask us to wait.
_LONGEST_WAIT = 3600


def post(url: str, body: bytes, key: str, timeout: float) -> Answer:
    """Post a notice; ``key`` is the same at every try of it. Never raises for what a listener or the network does."""
    if len(body) > LARGEST:
        return Answer(Kind.TOO_LARGE, f"it has {len(body)} bytes, more than the {LARGEST} that are posted")
    parts = urlsplit(url)
    try:
        with _connected(parts, time.monotonic() + timeout) as connection:
            connection.request("POST", _path(parts), body, _headers(parts, key))
            response = connection.getresponse()
            response.read(_READ)
            return of_status(response.status, _wait(response.getheader("Retry-After")))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer(Kind.AWAY, f"{shown(url)} {_why(error, timeout)}")


@contextmanager
def _connected(parts: SplitResult, deadline: float) -> Iterator[Any]:
    """Yield a connection that is cut at the deadline, whatever is done with it."""
    left = max(0.001, deadline - time.monotonic())
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=left, context=_context())
    else:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=left)
    connection.auto_open = 0  # it is open, or it has been cut
    cut: list[bool] = []

    def end() -> None:
        cut.append(True)
        with suppress(OSError, AttributeError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(left, end)
    timer.daemon = True
    timer.start()
    try:
        connection.connect()
        yield connection
        if cut:  # what there was of an answer looks like a whole one
            raise TimeoutError
    except (OSError, http.client.HTTPException, ValueError) as error:
        if cut:
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        connection.close()


def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult, key: str) -> Mapping[str, str]:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"celeriac/{VERSION}",
        "Idempotency-Key": key,
        "Connection": "close",
    }
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
    return headers


def _wait(header: str | None) -> float:
    """Return the seconds of a Retry-After (RFC 9110, 10.2.3); a date counts as none."""
    return float(min(int(header), _LONGEST_WAIT)) if header and header.isdecimal() and len(header) < 9 else 0.0


def shown(url: str) -> str:
    """Return a listener's URL for people: without credentials and query, where tokens may be."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _why(error: Exception, timeout: float) -> str:
    """Say what went wrong, with nothing of what was sent."""
    if isinstance(error, TimeoutError):
        return f"does not answer within {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return "has a host name that nobody knows"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return f"can't be reached: {error.strerror}"
    return f"gives no answer that is HTTP ({type(error).__name__})"
