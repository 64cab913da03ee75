"""A document's inputs as command line flags: ``celeriac run tool.cwl --message hello``.

cwltool makes the flags; what is said about wrong ones is ours.
"""

from __future__ import annotations

import argparse
import os
import urllib.parse
from typing import Any, NoReturn

from cwltool.argparser import generate_parser
from schema_salad.ref_resolver import file_uri

from celeriac.document import inputs as jobs
from celeriac.document.document import Document
from celeriac.document.inputs import Job
from celeriac.errors import UsageError
from celeriac.graph.translate import short


def parse(document: Document, words: list[str], name: str, basedir: str | None) -> Job:
    """Read a document's inputs from command line words; ``name`` is what the user calls the document.

    A job file may stand among the words; flags win over it. Relative paths start at ``basedir``, else at
    the working directory. ``--help`` prints the flags and raises ``SystemExit``.

    Raises :class:`~celeriac.errors.UsageError`, and :class:`~celeriac.errors.InputError` for a job file.
    """
    flags = _Flags(document, name)
    given = flags.read(words)
    file = given.pop("job_order", None)
    base = basedir or os.getcwd()
    values = {port: _located(value, base) for port, value in flags.values(given).items()}
    if file is None:
        job = Job({}, base, "the command line")
    else:
        job = jobs.read(file, document.snapshot.uri, basedir)
    job.values.update(values)
    if file is None:
        flags.check_complete({**document.defaults, **job.values})
    return job


class _Flags(argparse.ArgumentParser):
    """The parser of one document's flags. None is required by itself: a job file may give it."""

    def __init__(self, document: Document, name: str) -> None:
        self._given_by: set[str] = set()  # what has a flag: inputs, and records by their fields
        # an input may be called `help`: then it wins
        super().__init__(prog=f"celeriac run {name}", allow_abbrev=False, conflict_handler="resolve")
        self._name = name
        self._ports = document.process.tool["inputs"]
        self._records: list[str] = []
        self._names: dict[str, str] = {}
        generate_parser(self, document.process, self._names, self._records, urljoin=lambda base, value: value)

    def add_argument(self, *names: Any, **options: Any) -> Any:
        """Add a flag as cwltool wants it, but without default: what is not given is the document's."""
        if names == ("--generate-help-preview",):
            return None
        options.pop("required", None)
        self._given_by.add(names[0].lstrip("-").partition(".")[0])
        if names == ("job_order",):
            options.update(metavar="JOB", help="a job file; flags win over it")
        elif "default" in options and options["default"] != argparse.SUPPRESS:
            options["default"] = None
        options["help"] = (options.get("help") or "").replace("\\[", "[")  # escaped for rich
        return super().add_argument(*names, **options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with a flag as one error of ours."""
        raise UsageError(f"the inputs of {self._name}: {message}", hint=self._see())

    def _see(self) -> str:
        return f"`celeriac run {self._name} --help` shows the inputs"

    def read(self, words: list[str]) -> dict[str, Any]:
        """Return what was given, by argparse's names."""
        known, unknown = self.parse_known_args(words)
        if unknown:
            raise UsageError(
                f"{self._name} has no input for {' '.join(unknown)}",
                hint=f"{self._see()}; Celeriac's own options stand before the document or after a job file",
            )
        return {key: value for key, value in vars(known).items() if value is not None}

    def values(self, given: dict[str, Any]) -> dict[str, Any]:
        """Return inputs by name; the flags ``--record.field`` become records, the innermost first."""
        found = dict(given)
        for record in reversed(self._records):
            prefix = f"{record}."
            fields = {key[len(prefix) :]: found.pop(key) for key in list(found) if key.startswith(prefix)}
            if fields:
                found[record] = fields
        return {self._names.get(key, key): value for key, value in found.items()}

    def check_complete(self, values: dict[str, Any]) -> None:
        """Raise :class:`~celeriac.errors.UsageError` when an input that must be given is not."""
        missing = [port for port in self._ports if "default" not in port and not _optional(port["type"])]
        names = [name for port in missing if (name := short(port["id"])) not in values]
        hidden = [name for name in names if name not in self._given_by]
        if hidden:
            raise UsageError(
                f"{self._name} needs {', '.join(hidden)}, of a type that no flag can give",
                hint="write a job file, and name it after the document",
            )
        if names:
            flags = ", ".join(("--" if len(name) > 1 else "-") + name for name in names)
            raise UsageError(f"{self._name} needs {flags}, or a job file", hint=self._see())


def _optional(kind: Any) -> bool:
    return kind == "null" or (isinstance(kind, list) and "null" in kind)


def _located(value: Any, base: str) -> Any:
    """Turn paths of files and directories into URIs."""
    if isinstance(value, list):
        return [_located(item, base) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("class") not in ("File", "Directory"):
        return {key: _located(item, base) for key, item in value.items()}
    path = value["location"]
    is_uri = bool(urllib.parse.urlsplit(path).scheme) and not os.path.exists(os.path.join(base, path))
    return {**value, "location": path if is_uri else file_uri(os.path.join(base, path))}
