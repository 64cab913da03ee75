"""Files that stand in one another by ``$import``: schema-salad follows a circle of them till the process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urldefrag, urljoin

import yaml
from yaml.events import ScalarEvent

from celeriac.errors import DocumentError

#: Keys in whose place another file comes (Semantic Annotations for Linked Avro Data, "Document preprocessing").
KEYS = ("$import", "$mixin")


class Imports:
    """What the files of one document import, as far as they were read."""

    def __init__(self) -> None:
        self._of: dict[str, list[str]] = {}

    def follow(self, uri: str, text: str) -> None:
        """Note a file's imports; raises :class:`~celeriac.errors.DocumentError` where one leads back to it."""
        if any(key in text for key in KEYS):
            self._of[uri] = [urldefrag(urljoin(uri, found))[0] for found in _references(text)]
            self._search(uri)

    def _search(self, uri: str) -> None:
        """Look for a way from a new file back to it, as every new circle has one; each file is gone through once."""
        ways, waiting = {uri: [uri]}, [uri]
        while waiting:
            above = waiting.pop()
            for one in self._of.get(above, ()):
                if one == uri:
                    around = " -> ".join(found.rpartition("/")[2] for found in [*ways[above], uri])
                    raise DocumentError(
                        f"a $import leads back to the file that it stands in: {around}",
                        where=uri,
                        hint="a file can't be a part of itself",
                    )
                if one not in ways:
                    ways[one] = [*ways[above], one]
                    waiting.append(one)


def _references(text: str) -> Iterator[str]:
    """Yield what is imported; what can't be read is read, and its faults are told, by others."""
    loader = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
    key = False
    with suppress(yaml.YAMLError):
        for event in yaml.parse(text, loader):
            found = event.value if isinstance(event, ScalarEvent) else None
            if key and found and not found.startswith("#"):
                yield found
            key = not key and found in KEYS
