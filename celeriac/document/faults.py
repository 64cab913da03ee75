"""What went wrong with a document, as our errors: one clear sentence, the place where there is one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from cwltool.errors import GraphTargetMissingException, UnsupportedRequirement

from celeriac.document.reasons import denied, plain, reason
from celeriac.errors import CeleriacError, DocumentError, UnsupportedError

VERSIONS = ("v1.0", "v1.1", "v1.2")
#: Our own namespace is no scheme that a loader knows how to fetch.
_OWN = re.compile(r"Unsupported scheme 'urn' in url: (urn:celeriac:\S+)")
#: Extensions that are obeyed as hints.
_OBEYED = frozenset(
    {
        "http://commonwl.org/cwltool#CUDARequirement", "http://commonwl.org/cwltool#Secrets", "urn:celeriac:queue",
        "urn:celeriac:retry", "urn:celeriac:reuse-container",
    }
)  # fmt: skip
_FOREIGN = re.compile(r"Field 'class' contains undefined reference to '(https?://.+)'")
_MISSING_RUN = re.compile(r"Field 'run' contains undefined reference to '(.+)'")
_CLASSES = "CommandLineTool, ExpressionTool, Workflow or Operation"
_UNDECLARED = re.compile(r"(\w+Requirement) not in requirements")


def display(reference: str) -> str:
    """Return a document's name for messages: relative to the working directory where it lies below it."""
    return plain(reference) if reference.startswith("file:") else reference


def check_source(source: Any, uri: str) -> None:
    """Raise :class:`~celeriac.errors.DocumentError` for what can't be a CWL document that we know."""
    name = display(uri.partition("#")[0])
    if not isinstance(source, Mapping):
        kind = "a list" if isinstance(source, list) else "a text" if isinstance(source, str) else repr(source)
        raise DocumentError(
            f"this is {kind}: a mapping with cwlVersion, class, inputs and outputs was expected", where=name
        )
    if "cwlVersion" not in source:
        return
    version = source["cwlVersion"]
    short = re.sub(r"^(cwl:|https://w3id.org/cwl/cwl#)", "", version) if isinstance(version, str) else version
    if short not in VERSIONS:
        lines = getattr(getattr(source, "lc", None), "data", None) or {}
        line = f":{lines['cwlVersion'][0] + 1}" if "cwlVersion" in lines else ""
        raise DocumentError(
            f"cwlVersion is {version}: {', '.join(VERSIONS[:-1])} or {VERSIONS[-1]} was expected",
            hint="older documents can be brought to v1.0 with cwl-upgrader",
            where=f"{name}{line}",
        )


def translate_error(error: BaseException, reference: str, last: str = "") -> CeleriacError:
    """Turn what cwltool raises into an error of ours; ``last`` is the URI that was read last."""
    name = display(reference)
    refusal = denied(error)
    if refusal is not None:
        return refusal
    for one in _chain(error):
        if isinstance(one, UnsupportedRequirement):
            return UnsupportedError(f"this needs what Celeriac does not support: {plain(str(one))}", where=name)
    if isinstance(error, GraphTargetMissingException):
        names = [f"{name}{found}" for found in re.findall(r"#[^\s,]+", str(error))]
        text = "this holds several processes, and none is called 'main'"
        return DocumentError(text, hint=f"name one: {' or '.join(names)}", where=name)
    return _unread(error, reference, display(last) or name) or _invalid(error, name)


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in found:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found


def _unread(error: BaseException, reference: str, name: str) -> DocumentError | None:
    """Return the error for what could not even be read."""
    text = str(error).strip()
    path = reference.partition("#")[0]
    if os.path.isdir(path):
        return DocumentError(f"{reference} is a directory: a CWL document was expected")
    if text.startswith("Not found: "):
        return DocumentError(
            f"{reference} was not found: a CWL document's path or URL was expected",
            hint="check the path; a relative one starts at the working directory",
        )
    if isinstance(error, StopIteration):
        return DocumentError("the document is empty", where=name)
    if isinstance(error, UnicodeDecodeError):
        return DocumentError(
            f"this is no text in UTF-8: byte {error.object[error.start]:#04x} at position {error.start}", where=name
        )
    if isinstance(error, RecursionError):
        return DocumentError(
            "the document refers to itself without end, or is nested too deeply",
            hint="look for a `run` or `$import` that leads back to a document it comes from",
            where=name,
        )
    return None


def _foreign(name: str, where: str) -> UnsupportedError:
    """Return the error of an extension that stands where only CWL's own requirements may."""
    if name in _OBEYED:
        return UnsupportedError(
            f"{name} can't stand under `requirements`, which have to be CWL's own",
            hint="move it to `hints`: there it is obeyed",
            where=where,
        )
    return UnsupportedError(
        f"the extension {name} is not supported",
        hint="if the document runs without it, move it from `requirements` to `hints`",
        where=where,
    )


def _invalid(error: BaseException, name: str) -> CeleriacError:
    why = reason(error)
    text = why.sentence
    where = why.where or ("" if text.startswith(name) else name)
    if found := _FOREIGN.match(text):
        return _foreign(found[1], where)
    if found := _OWN.match(text):
        return _foreign(found[1], where)
    if found := re.match(r"Reference '#(.+)' not found in file", text):
        return DocumentError(f"there is no process '{found[1]}' in this document", where=where)
    if found := re.match(r"The following steps have circular dependency:\n(.*)", text):
        steps = ", ".join(sorted(re.findall(r"#([^']+)'", found[1])))
        return DocumentError(f"the steps {steps} need each other: a cycle", where=where)
    if text.startswith("No cwlVersion found"):
        return DocumentError(
            "there is no cwlVersion, so this is no CWL document",
            hint="if it is one, say which: cwlVersion: v1.2",
            where=where,
        )
    hint = ""
    if found := _UNDECLARED.search(text):
        hint = f"declare it: requirements: {{{found[1]}: {{}}}}"
    elif _MISSING_RUN.match(text):
        hint = "is the file there? A relative path starts at the document's own directory"
    elif text.startswith("Missing 'class'"):
        hint = f"a process has the class {_CLASSES}"
    return DocumentError(text, hint=hint, where=where)
