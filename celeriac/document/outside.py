"""References of documents and jobs from outside: one reader of ``file:`` and ``http(s):`` for all of them."""

from __future__ import annotations

import os
import stat
import time
from typing import Any
from urllib.parse import urldefrag

from schema_salad.fetcher import DefaultFetcher
from schema_salad.ref_resolver import file_uri

from celeriac.access import Access, is_allowed, is_remote, path_of, refused, shown
from celeriac.document.bounds import FILE, Budget, check_text
from celeriac.document.remote import Remote
from celeriac.errors import AccessError, DocumentError

#: Seconds for all files of a document that come over http(s), together: while it loads, others of its process wait.
REMOTE_TIME = 30.0


class Outside:
    """What is read for one document or job, by the rules of an access."""

    def __init__(self, access: Access, remote: Remote | None = None) -> None:
        self._access = access
        self._remote = remote or Remote(access)
        self._budget = Budget()
        self._until: float | None = None  # of time.monotonic(), from the first question to a host on

    def fetcher(self, cache: Any, session: Any) -> OutsideFetcher:
        """Make schema-salad's reader, as its ``fetcher_constructor``."""
        return OutsideFetcher(cache, self)

    def uri(self, reference: str) -> str:
        """Return the URI of a document: an absolute path or a URL. Raises :class:`~celeriac.errors.AccessError`."""
        plain, hash_, fragment = reference.partition("#")
        if is_remote(plain):
            self._access.check_host(plain)
            return reference
        path = self.path(plain if "://" in plain else os.path.abspath(plain), plain)
        return str(file_uri(path)) + hash_ + fragment

    def path(self, location: str, told: str = "") -> str:
        """Return the real path of a ``file:`` URI or path that may be read."""
        path = path_of(location)
        if path is not None and is_allowed(path, self._access.roots, self._access.hidden):
            real = os.path.realpath(path)
            if is_allowed(real, self._access.roots, self._access.hidden):
                return real
        raise refused(told or location, self._access.roots)

    def text(self, uri: str) -> str:
        """Return a text within its bounds; raises AccessError and :class:`~celeriac.errors.DocumentError`."""
        if is_remote(uri):
            text = self._remote.text(uri, FILE, self._left(uri))
        elif uri.startswith("file:"):
            text = _read(self.path(uri), uri)
        else:
            raise _unknown(uri)
        self._budget.spend(uri, text)
        self._budget.follow(uri, check_text(text))
        return text

    def exists(self, uri: str) -> bool:
        """Whether there is something; raises :class:`~celeriac.errors.AccessError`."""
        if is_remote(uri):
            return self._remote.exists(uri, self._left(uri))
        if uri.startswith("file:"):
            return os.path.exists(self.path(urldefrag(uri)[0]))
        if uri.startswith("mailto:"):
            return True
        raise _unknown(uri)


    def _left(self, uri: str) -> float:
        """Return the seconds that hosts have left for this document."""
        now = time.monotonic()
        if self._until is None:
            self._until = now + REMOTE_TIME
        if now >= self._until:
            raise DocumentError(f"{shown(uri)} is not read: the document's files took {REMOTE_TIME:g} s together")
        return self._until - now


def _unknown(uri: str) -> AccessError:
    return AccessError(f"{shown(uri)} is no reference that is followed: file: and http(s): are")


def _read(path: str, uri: str) -> str:
    try:
        # not to wait for a pipe
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise DocumentError(f"{shown(uri)} is no regular file")
            data = file.read(FILE + 1)
    except OSError as error:
        raise DocumentError(f"{shown(uri)} can't be read: {error.strerror}") from error
    if len(data) > FILE:
        raise DocumentError(f"{shown(uri)} has more than {FILE} bytes, which is not allowed")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentError(f"{shown(uri)} is no text in UTF-8") from error


class OutsideFetcher(DefaultFetcher):
    """schema-salad's reader, by these rules."""

    def __init__(self, cache: Any, outside: Outside) -> None:
        super().__init__(cache, None)
        self._outside = outside

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        """Return a text; CWL's own schemas are at hand."""
        known = self.cache.get(url)
        if isinstance(known, str):
            return known
        return self._outside.text(url)

    def check_exists(self, url: str) -> bool:
        """Whether a reference leads to something."""
        return url in self.cache or self._outside.exists(url)
