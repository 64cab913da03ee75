"""The versions of what documents are loaded with: what is kept is of use to the same ones only."""

from __future__ import annotations

import functools
import sys
from importlib.metadata import PackageNotFoundError, version


@functools.cache
def libraries() -> str:
    """Return the versions of cwltool, schema-salad and Python."""
    return f"{version('cwltool')}-{version('schema-salad')}-{sys.version_info.major}.{sys.version_info.minor}"


@functools.cache
def own() -> str:
    """Return Celeriac's own version; nothing where it is not installed."""
    try:
        return version("celeriac")
    except PackageNotFoundError:
        return ""
