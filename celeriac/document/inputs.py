"""The job's input object: read, resolved, defaults filled in, validated."""

from __future__ import annotations

import functools
import os
import sys
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from cwltool import CWL_CONTENT_TYPES
from cwltool.context import RuntimeContext
from cwltool.errors import UnsupportedRequirement
from cwltool.process import add_sizes
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import (
    adjustDirObjs,
    normalizeFilesDirs,
    path_to_loc,
    trim_listing,
    visit_files,
    visit_files_directories,
)
from ruamel.yaml.error import MarkedYAMLError
from schema_salad.ref_resolver import Loader, file_uri, to_validation_exception, uri_file_path
from schema_salad.sourceline import cmap
from schema_salad.utils import yaml_no_ts

from celeriac.document.binding import bind
from celeriac.document.bounds import check_value
from celeriac.document.document import Document
from celeriac.document.fetch import read_quickly
from celeriac.document.misfit import misfit
from celeriac.document.reasons import denied, reason
from celeriac.errors import AccessError, CeleriacError, InputError, UnsupportedError
from celeriac.expression.evaluate import explain
from celeriac.graph.translate import short

if TYPE_CHECKING:
    from celeriac.document.outside import Outside

#: As cwltool's ``load_tool`` has them, which brings along all that it needs to load documents.
JOB_ID = "__id"
JOB_CONTEXT: Any = {
    "cwl": "https://w3id.org/cwl/cwl#",
    "cwltool": "http://commonwl.org/cwltool#",
    "path": {"@type": "@id"},
    "location": {"@type": "@id"},
    JOB_ID: "@id",
}
_REQUIREMENTS = "https://w3id.org/cwl/cwl#requirements"
_OVERRIDES = "http://commonwl.org/cwltool#overrides"


@dataclass
class Job:
    """An input object as it was read."""

    values: dict[str, Any]
    basedir: str  # relative paths start here
    name: str  # for messages: the file's name
    overrides: list[Any] = field(default_factory=list)
    lines: Mapping[str, int] = field(default_factory=dict)  # where in the file each input is

    def where(self, name: str) -> str:
        """Return where an input is, for messages: the file and its line."""
        return f"{self.name}:{self.lines[name]}" if name in self.lines else self.name


def read(source: str, document_uri: str, basedir: str | None = None) -> Job:
    """Read a job file (YAML or JSON; a path, a URL, or ``-`` for standard input).

    Raises :class:`~celeriac.errors.InputError`.
    """
    name = "stdin" if source == "-" else source
    try:
        values = _read(source)
    except CeleriacError:
        raise
    except StopIteration:
        raise InputError("the job file is empty: a mapping of input names to values was expected", where=name) from None
    except UnicodeDecodeError as error:
        raise InputError("the job file is no text in UTF-8", where=name) from error
    except Exception as error:
        why = reason(error)
        where = why.where or ("" if why.text.startswith(name) else name)
        raise InputError(f"the job file can't be read: {why.text}", where=where) from error
    job_dir = os.getcwd() if source == "-" else os.path.dirname(os.path.abspath(source))
    return _job(values, basedir or job_dir, name, document_uri)


def _read(source: str) -> Any:
    remote = bool(urllib.parse.urlsplit(source).scheme)
    loader = Loader(JOB_CONTEXT.copy(), doc_cache=remote)
    if source == "-":
        try:
            data = cmap(yaml_no_ts().load(sys.stdin), fn="stdin")
        except MarkedYAMLError as error:
            raise to_validation_exception(error) from error
        return data and loader.resolve_all(data, file_uri(os.getcwd()) + "/")[0]
    if not remote and not os.path.isfile(source):
        what = "is a directory" if os.path.isdir(source) else "was not found"
        raise InputError(f"{source} {what}: a job file in YAML or JSON was expected")
    uri = loader.expand_url(source, file_uri(os.getcwd()) + "/")
    read_quickly(loader, uri)
    if uri in loader.idx:
        return loader.resolve_all(loader.idx[uri], uri, checklinks=False)[0]
    return loader.resolve_ref(source, checklinks=False, content_types=CWL_CONTENT_TYPES)[0]


def from_mapping(
    values: Mapping[str, Any], document_uri: str, basedir: str | None = None, outside: Outside | None = None
) -> Job:
    """Take a job from Python; relative paths start at ``basedir``, else the working directory.

    ``outside``: it is somebody else's, and what it refers to is read by the rules for those.
    """
    base = basedir or os.getcwd()
    if outside is None:
        loader = Loader(JOB_CONTEXT.copy(), doc_cache=False)
    else:
        check_value(values)
        loader = Loader(JOB_CONTEXT.copy(), doc_cache=False, fetcher_constructor=outside.fetcher, skip_schemas=True)
    try:
        resolved, _ = loader.resolve_all(cmap(_plain(values)), file_uri(base) + "/", checklinks=False)
    except CeleriacError:
        raise
    except Exception as error:
        refusal = denied(error)
        if refusal is not None:
            raise refusal from error
        # schema-salad trips over what is no CWL: a path that is a list, for one
        raise InputError(f"the input object can't be read: {reason(error).text}") from error
    return _job(resolved, base, "the input object", document_uri, outside is not None)


def _plain(value: Any) -> Any:
    """Return plain lists and mappings; numbers stay as they were written (``ScalarFloat``)."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def _job(values: Any, basedir: str, name: str, document_uri: str, outside: bool = False) -> Job:
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        what = "a list" if isinstance(values, list) else "a text" if isinstance(values, str) else repr(values)
        raise InputError(f"this is {what}: a mapping of input names to values was expected", where=name)
    places = getattr(getattr(values, "lc", None), "data", None) or {}
    lines = {key: place[0] + 1 for key, place in places.items()}
    job = Job(dict(values), basedir, name, lines=lines)
    if outside and _OVERRIDES in job.values:
        raise AccessError("cwltool:overrides in a job from outside are not taken", hint="change the document")
    if _OVERRIDES in job.values:
        from cwltool.load_tool import resolve_overrides

        base = file_uri(os.path.join(basedir, "job"))
        found: Any = cmap({_OVERRIDES: job.values.pop(_OVERRIDES)})
        job.overrides += resolve_overrides(found, base, document_uri)
    if _REQUIREMENTS in job.values:
        requirements = job.values.pop(_REQUIREMENTS)
        job.overrides.append({"overrideTarget": document_uri, "requirements": requirements, "cwl": True})
    for key in ("cwl:tool", "https://w3id.org/cwl/cwl#tool", JOB_ID, "$namespaces", "$schemas"):
        if key != "$namespaces":
            job.values.pop(key, None)
    return job


class Files(Protocol):
    """How the files of a job are looked at."""

    def __call__(self, basedir: str, /) -> StdFsAccess:
        """Return cwltool's access to files."""

    def check(self, value: Any, basedir: str) -> None:
        """Raise :class:`~celeriac.errors.AccessError` for a file or directory that may not be looked at."""


class AllFiles:
    """Every file of this host."""

    def __call__(self, basedir: str, /) -> StdFsAccess:
        """Return cwltool's own access."""
        return StdFsAccess(basedir)

    def check(self, value: Any, basedir: str) -> None:
        """Let all pass."""


def initialise(
    document: Document, job: Job, eval_timeout: float, files: Files | None = None
) -> dict[str, Any]:
    """Return the run's inputs: defaults in, paths resolved, secondary files found, all validated.

    Raises :class:`~celeriac.errors.InputError` and what expressions raise.
    """
    access = files or AllFiles()
    process = document.process
    # plain lists and mappings: cwltool copies its inputs several times, and ruamel's own copy slowly
    values = _plain({**document.defaults, **job.values})
    try:
        _normalise(process, values, job.basedir, access)
        _check_files(process, values, job)
        context = RuntimeContext(
            {
                "basedir": job.basedir,
                "toplevel": True,
                "outdir": "/var/empty",
                "tmpdir": "/var/empty",
                "stagedir": "/var/empty",
                "eval_timeout": eval_timeout,
            }
        )
        if files is not None:
            made: Any = files
            context.make_fs_access = made
        # what it asks for is looked at when it is placed (job/ask.py), where it can be named
        context.select_resources = lambda request, context: {"cores": 1, "ram": 1, "tmpdirSize": 1, "outdirSize": 1}
        builder = bind(process, values, context)
        access.check(builder.job, job.basedir)  # secondary files by expressions, too
    except UnsupportedRequirement as error:
        raise UnsupportedError(str(error)) from error
    except (InputError, AccessError):
        raise
    except Exception as error:
        explained = denied(error) or explain(error)
        raise (explained or misfit(error, process.tool["inputs"], job, document.defaults)) from error
    if process.tool["class"] != "Workflow":
        adjustDirObjs(builder.job, trim_listing)  # the tool lists its inputs itself when it runs
    known = {short(port["id"]) for port in process.tool["inputs"]}
    return {name: value for name, value in dict(builder.job).items() if name in known}


def _check_files(process: Any, values: Mapping[str, Any], job: Job) -> None:
    """Raise :class:`~celeriac.errors.InputError` for a file or directory that is not there."""
    for port in process.tool["inputs"]:
        name = short(port["id"])
        check = functools.partial(_check_file, name, job.where(name))
        visit_files_directories(values.get(name), check)


def _check_file(name: str, where: str, value: Any) -> None:
    location = value.get("location", "")
    if not location.startswith("file:"):
        return
    path = uri_file_path(location)
    wanted, other = ("file", "directory") if value["class"] == "File" else ("directory", "file")
    if not os.path.exists(path):
        raise InputError(f"the input '{name}' is the {wanted} {path}, which does not exist", where=where)
    if os.path.isdir(path) != (wanted == "directory"):
        raise InputError(f"the input '{name}' is {path}: a {wanted} was expected, but this is a {other}", where=where)


def _normalise(process: Any, values: dict[str, Any], basedir: str, files: Files) -> None:
    for port in process.tool["inputs"]:
        if "default" in port and short(port["id"]) not in values:
            values[short(port["id"])] = port["default"]
    namespaces = {**values.pop("$namespaces", {}), **process.metadata.get("$namespaces", {})}
    expander = Loader(namespaces, doc_cache=False)

    def expand_format(file: Any) -> None:
        if "format" in file:
            file["format"] = expander.expand_url(file["format"], "")

    visit_files_directories(values, path_to_loc)
    files.check(values, basedir)  # before anything is looked at
    visit_files(values, functools.partial(add_sizes, files(basedir)))
    visit_files(values, expand_format)
    adjustDirObjs(values, trim_listing)
    normalizeFilesDirs(values)
