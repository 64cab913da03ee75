"""From a command line to a run that can be submitted."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from celeriac.cli import options
from celeriac.document import inputs as jobs
from celeriac.engine.submit import Submission, check, document_uri
from celeriac.errors import UsageError


def prepare(
    engine: Any, args: argparse.Namespace, settings: Any, *, outdir: str | None, cleanup: bool
) -> Submission | None:
    """Read and check document and job; None when only the document was to be checked."""
    made = options.run_options(args, settings, outdir=outdir, cleanup=cleanup)
    _check_directory("--outdir", outdir)
    _check_directory("--tmpdir-prefix", made.scratch)
    uri = document_uri(args.document)
    words = list(args.job)
    if words and words[0] == "--":
        words = words[1:]
    if getattr(args, "validate", False):
        engine.documents.load(args.document, anew=True)
        if not words:
            return None
    if len(words) == 1 and (words[0] == "-" or not words[0].startswith("-")):
        job = jobs.read(words[0], uri, made.basedir or None)
        return check(engine, args.document, job, made, targets=args.target)
    from celeriac.document.flags import parse

    loaded = engine.documents.load(args.document)
    job = parse(loaded, words, args.document, made.basedir or None)
    return check(engine, args.document, job, made, targets=args.target)


def _check_directory(option: str, path: str | None) -> None:
    """Raise :class:`~celeriac.errors.UsageError` where no directory is or can be made."""
    if path is None:
        return
    found = Path(path)
    while not found.exists():
        found = found.parent
    if not found.is_dir():
        raise UsageError(f"{option} is {path}, but {found} is a file: a directory was expected")
    if not os.access(found, os.W_OK | os.X_OK):
        raise UsageError(f"{option} is {path}, but you may not write to {found}")
