"""Other faces of a document: what ``--print-deps``, ``--print-dot``, ``--make-template``, ``--pack`` print.

cwltool's own functions write them, so the output is cwltool's to the byte. ``cwltool.main`` is imported
only here and only when asked for: it brings RDF and much else along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from cwltool.context import LoadingContext
from cwltool.load_tool import fetch_document, make_tool, resolve_and_validate_document, resolve_tool_uri
from cwltool.resolver import resolve_local

from celeriac.document.faults import check_source, display, translate_error
from celeriac.document.load import loading_context
from celeriac.document.snapshot import Recorder
from celeriac.errors import CeleriacError, DocumentError


def print_deps(document: str, stream: TextIO) -> int:
    """Write the files that a document refers to, as a CWL File with secondary files.

    Each of these raises :class:`~celeriac.errors.DocumentError` and returns the exit code 0.
    """
    with _reading(document) as recorder:
        from cwltool.main import printdeps

        context, uri, source = _open(document, recorder)
        assert context.loader is not None
        printdeps(source, context.loader, stream, "primary", uri)
    return 0


def print_dot(document: str, stream: TextIO) -> int:
    """Write a document's graph for Graphviz."""
    with _reading(document) as recorder:
        from cwltool.cwlrdf import printdot

        context, uri, _ = _open(document, recorder)
        process = make_tool(uri, context)
        if process.tool["class"] != "Workflow":
            kind = process.tool["class"]
            raise DocumentError(f"this is a {kind}: only a Workflow has a graph to draw")
        assert context.loader is not None
        printdot(process, context.loader.ctx, stream)
    return 0


def make_template(document: str, stream: TextIO) -> int:
    """Write a job file to fill in."""
    with _reading(document) as recorder:
        from cwltool.main import make_template as write

        context, uri, _ = _open(document, recorder)
        write(make_tool(uri, context), stream)
    return 0


def pack(document: str, stream: TextIO) -> int:
    """Write a document and all that it refers to as one, in JSON."""
    with _reading(document) as recorder:
        from cwltool.main import print_pack

        context, uri, _ = _open(document, recorder, as_written=True)
        print(print_pack(context, uri), file=stream)
    return 0


@contextmanager
def _reading(document: str) -> Iterator[Recorder]:
    recorder = Recorder()
    try:
        yield recorder
    except BrokenPipeError:
        raise
    except CeleriacError as error:
        error.where = error.where or display(document)
        raise
    except Exception as error:
        raise translate_error(error, document, recorder.last) from error


def _open(document: str, recorder: Recorder, *, as_written: bool = False) -> tuple[LoadingContext, str, Any]:
    """Return the context, the process's URI and the source; ``as_written``: not updated to CWL v1.2."""
    context = loading_context(recorder.fetcher, [])
    context.do_update = not as_written
    uri, _ = resolve_tool_uri(document, resolver=resolve_local, fetcher_constructor=recorder.fetcher)
    context, source, uri = fetch_document(uri, context)
    check_source(source, uri)
    context, uri = resolve_and_validate_document(context, source, uri, preprocess_only=as_written)
    return context, uri, source
