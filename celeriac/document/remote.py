"""What runs from outside get over http(s): only from hosts that are allowed, at addresses that are allowed.

A name is looked up once, and the connection is made to the address that was looked at: a name that has another
address a moment later changes nothing. Redirects are followed here, each checked as the first URL was. No proxy
of the environment, no cookies, no credentials, no compression.
"""

from __future__ import annotations

import http.client
import ipaddress
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from celeriac.access import Access, shown
from celeriac.errors import AccessError, InputError

#: Returns the addresses of a host, as text.
Lookup = Callable[[str], Sequence[str]]

#: Redirects that are followed.
REDIRECTS = 5
#: Seconds to connect, and to wait for the next piece.
CONNECT, READ = 5.0, 15.0
#: Seconds for an input, redirects and slow headers included.
INPUT_TIME = 3600.0
_PIECE = 2**16
#: Public addresses of clouds' own services: what they tell is for this machine alone.
_SERVICES = frozenset(map(ipaddress.ip_address, ("168.63.129.16", "192.0.0.192")))
#: IPv6 addresses with an IPv4 address in their last 32 bits.
_EMBEDDING = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))


class Remote:
    """Gets texts and files for runs with one access."""

    def __init__(self, access: Access, lookup: Lookup | None = None) -> None:
        self._access = access
        self._lookup = lookup or _addresses

    def text(self, url: str, most: int, seconds: float) -> str:
        """Return a file of at most so many bytes; raises :class:`~celeriac.errors.AccessError` or InputError."""
        with self._get(url, seconds) as pieces:
            data = b"".join(_bounded(pieces, url, most))
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{shown(url)} is no text in UTF-8") from error

    def exists(self, url: str, seconds: float) -> bool:
        """Whether a server has it; raises :class:`~celeriac.errors.AccessError`."""
        try:
            with self._get(url, seconds):
                return True
        except InputError:
            return False

    def download(self, url: str, target: Path, check: Callable[[], None]) -> None:
        """Put an input into a file that appears whole. Raises as :meth:`text`; ``check`` may end it."""
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file, self._get(url, INPUT_TIME) as pieces:
                for piece in _bounded(pieces, url, self._access.download):
                    check()
                    file.write(piece)
            os.chmod(name, 0o644)
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    def address(self, host: str, url: str) -> str:
        """Return the address to connect to; raises :class:`~celeriac.errors.AccessError` where one is not allowed."""
        try:
            found = [ipaddress.ip_address(address.partition("%")[0]) for address in self._lookup(host)]
        except (OSError, UnicodeError):
            found = []
        if not self._access.private and any(not _is_public(address) for address in found):
            raise AccessError(
                f"{shown(url)} is on a host of this machine or of a private network, which is not allowed",
                hint="take a public address (CELERIAC_API_PRIVATE_HOSTS)",
            )
        if not found:
            raise InputError(f"the host of {shown(url)} is not known")
        return str(found[0])

    @contextmanager
    def _get(self, url: str, seconds: float) -> Iterator[Iterator[bytes]]:
        """Yield the pieces of what is at a URL."""
        asked, wire = url, _Wire(seconds)
        try:
            for _ in range(REDIRECTS + 1):
                answer = self._ask(url, wire)
                leads_to = answer.headers.get("Location")
                if answer.status in (301, 302, 303, 307, 308) and leads_to:
                    url = _next(url, leads_to)
                elif answer.status == 200:
                    yield _pieces(answer, url, wire)
                    return
                else:
                    raise InputError(f"{shown(url)} can't be read: the server answers {answer.status}")
            raise AccessError(f"{shown(asked)} leads on through more than {REDIRECTS} redirects")
        finally:
            wire.cut()

    def _ask(self, url: str, wire: _Wire) -> http.client.HTTPResponse:
        """Ask one server, and follow nothing."""
        host, port = self._access.check_host(url)
        address, parts = self.address(host, url), urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Host": parts.netloc, "Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "celeriac"}
        connection = http.client.HTTPConnection(address, port)
        try:
            connection.sock = wire.connect(address, port, host if parts.scheme == "https" else None)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            wire.check()
            return answer
        except (OSError, http.client.HTTPException) as error:
            raise InputError(f"{shown(url)} can't be read: {_why(error)}") from error


class _Wire:
    """The connection of one request, cut when its time is over."""

    def __init__(self, seconds: float) -> None:
        self._socket: socket.socket | None = None
        self._late = False
        self._timer = threading.Timer(seconds, self._time_is_over)
        self._timer.daemon = True
        self._timer.start()

    def connect(self, address: str, port: int, name: str | None) -> socket.socket:
        """Return a new connection, by TLS where there is a name that the server has to prove; raises OSError."""
        if self._socket is not None:
            self._end()
        found = socket.create_connection((address, port), timeout=CONNECT)
        found.settimeout(READ)
        self._socket = found
        self.check()  # nobody cuts it any more
        if name is not None:
            self._socket = ssl.create_default_context().wrap_socket(found, server_hostname=name)
        return self._socket

    def check(self) -> None:
        """Raise OSError when its time is over: what ended by that looks as if it had ended by itself."""
        if self._late:
            raise TimeoutError

    def _time_is_over(self) -> None:
        self._late = True
        self._end()

    def cut(self) -> None:
        """Let go of it."""
        self._timer.cancel()
        self._end()
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        with suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)


def _next(url: str, leads_to: str) -> str:
    try:
        return urljoin(url, leads_to).partition("#")[0]
    except ValueError as error:
        raise AccessError(f"{shown(url)} leads on to {shown(leads_to)}, which is no URL") from error


def _pieces(answer: http.client.HTTPResponse, url: str, wire: _Wire) -> Iterator[bytes]:
    try:
        while piece := answer.read1(_PIECE):
            yield piece
        wire.check()
    except (OSError, http.client.HTTPException) as error:
        raise InputError(f"{shown(url)} broke off: {_why(error)}") from error
    if answer.length:  # of its Content-Length
        raise InputError(f"{shown(url)} broke off: {answer.length} bytes are missing")


def _bounded(pieces: Iterator[bytes], url: str, most: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > most:
            raise AccessError(f"{shown(url)} has more than {most} bytes, which is not allowed")
        yield piece


def _why(error: Exception) -> str:
    # their own words name addresses
    return type(error).__name__


def _addresses(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]


def _is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is one of the whole internet; one that has another in it is as public as that."""
    inside = _inside(address) if isinstance(address, ipaddress.IPv6Address) else None
    if inside is not None:
        return _is_public(inside)
    odd = address in _SERVICES or address.is_multicast or address.is_reserved or address.is_unspecified
    local = isinstance(address, ipaddress.IPv6Address) and address.is_site_local
    return address.is_global and not odd and not local


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to, if it does."""
    if address.ipv4_mapped is not None or address.sixtofour is not None:
        return address.ipv4_mapped or address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return None
