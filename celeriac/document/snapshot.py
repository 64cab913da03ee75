"""A snapshot: every text that a document was loaded from, so that it can be loaded again anywhere.

A run keeps the snapshot's hash, the journal keeps the snapshot. A worker loads the document from
it with the same URIs and the same result, whatever happened to the source files since, and without
reaching them: the author's machine, a web server or a checkout may be gone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from schema_salad.exceptions import ValidationException
from schema_salad.fetcher import DefaultFetcher

from celeriac.document.imports import Imports

if TYPE_CHECKING:
    from celeriac.document.outside import Outside


@dataclass(frozen=True)
class Snapshot:
    """The sources of one document."""

    uri: str  # of the process to run, with its fragment
    texts: dict[str, str]  # URI without fragment -> text
    exists: dict[str, bool] = field(default_factory=dict)  # references that were only looked for
    overrides: list[Any] = field(default_factory=list)  # cwltool:overrides of the job
    targets: list[str] = field(default_factory=list)  # run only what these need (--target)

    @cached_property
    def body(self) -> str:
        """The snapshot as JSON, in one form only."""
        data = asdict(self)
        return json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the body: the document's name in journal and caches."""
        return hashlib.sha256(self.body.encode("utf-8", "surrogatepass")).hexdigest()

    @classmethod
    def from_body(cls, body: str) -> Snapshot:
        """Rebuild from :attr:`body`."""
        return cls(**json.loads(body))


class Recorder:
    """Hands out fetchers that write down everything they read, and read by the rules of ``outside`` if given."""

    def __init__(self, outside: Outside | None = None) -> None:
        self._outside = outside
        self.texts: dict[str, str] = {}
        self.exists: dict[str, bool] = {}
        self.last = ""  # the URI that was asked for last, for messages
        self.missed = False  # something could not be read
        self.imports = Imports()

    def fetcher(self, cache: Any, session: Any) -> DefaultFetcher:
        """Make a fetcher, as cwltool's ``fetcher_constructor``."""
        make = DefaultFetcher if self._outside is None else self._outside.fetcher
        return _Recording(cache, session, self, make(cache, session))


class _Recording(DefaultFetcher):
    def __init__(self, cache: Any, session: Any, recorder: Recorder, reader: DefaultFetcher) -> None:
        super().__init__(cache, session)
        self._recorder = recorder
        self._reader = reader

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        self._recorder.last = url
        try:
            text: str = self._reader.fetch_text(url, content_types)
        except Exception:
            self._recorder.missed = True
            raise
        if not url.startswith("https://w3id.org/cwl/"):
            self._recorder.texts[url] = text
            self._recorder.imports.follow(url, text)
        return text

    def check_exists(self, url: str) -> bool:
        found: bool = self._reader.check_exists(url)
        self._recorder.exists[url] = found
        return found


def replay(snapshot: Snapshot) -> Callable[[Any, Any], DefaultFetcher]:
    """Return a ``fetcher_constructor`` whose fetchers read from the snapshot only."""
    return lambda cache, session: _Replaying(cache, session, snapshot)


class _Replaying(DefaultFetcher):
    def __init__(self, cache: Any, session: Any, snapshot: Snapshot) -> None:
        super().__init__(cache, session)
        self._snapshot = snapshot

    def fetch_text(self, url: str, content_types: list[str] | None = None) -> str:
        if url in self._snapshot.texts:
            return self._snapshot.texts[url]
        if self.cache and url in self.cache and self.cache[url] is not True:
            return str(super().fetch_text(url, content_types))
        raise ValidationException(f"{url} is not part of the document's snapshot")

    def check_exists(self, url: str) -> bool:
        return self._snapshot.exists.get(url, url in self._snapshot.texts)
