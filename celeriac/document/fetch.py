"""Fetch a file of a document with the quick reader of YAML, into the index where schema-salad looks first."""

from __future__ import annotations

import urllib.parse
from typing import Any

from cwltool import CWL_CONTENT_TYPES
from schema_salad.ref_resolver import Loader
from schema_salad.sourceline import add_lc_filename

from celeriac.document.quick_yaml import parse


def read_quickly(loader: Loader, reference: str) -> None:
    """Do what ``loader.fetch`` does, or nothing at all: then that does it, and says what is wrong.

    What is fetched over a network is left to it.
    """
    uri = urllib.parse.urldefrag(reference)[0]
    if not uri.startswith("file:") or uri in loader.idx:
        return
    found = parse(loader.fetch_text(uri, content_types=CWL_CONTENT_TYPES))
    if found is None:
        return
    add_lc_filename(found, uri)
    _identify(loader, found, uri)
    loader.idx[uri] = found


def _identify(loader: Loader, found: Any, uri: str) -> None:
    own = [name for name in loader.identifiers if name in found]
    for name in own:
        loader.idx[loader.expand_url(found[name], uri, scoped_id=True)] = found
    if loader.identifiers and not own:
        found[loader.identifiers[0]] = uri
