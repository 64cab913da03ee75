"""Names of workflows and runs that clients choose, and the ids that our journal has for them. Pure."""

from __future__ import annotations

import base64
import hashlib
import re
import zlib

from celeriac.errors import InputError

#: What a workflow may be called: it names a file.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)
#: The workflow that stops runs.
STOP = "clean_dag_run"
#: Bytes of a document that comes compressed, once it is not.
LONGEST = 16 << 20


def workflow(name: object) -> str:
    """Return a workflow's name; raises :class:`~celeriac.errors.InputError` for one that can't name a file."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"dag_id is {name!r:.100}: letters, digits, '_', '-' and '.' were expected, 200 at most")
    return name.removesuffix(".cwl") or name


def run(name: object) -> str:
    """Return a run's name; raises :class:`~celeriac.errors.InputError` for none, or one that can't be printed."""
    if not isinstance(name, str) or not name or len(name) > 250 or not name.isprintable():
        raise InputError(f"run_id is {name!r:.100}: 1 to 250 characters that can be printed were expected")
    return name


def identifier(workflow: str, run: str, number: int = 0) -> str:
    """Return the journal's id of a run that a client named; ``number``: of those that it named so again."""
    return hashlib.sha256("\0".join((workflow, run, str(number))).encode()).hexdigest()[:16]


def content(text: object) -> str:
    """Return a document that came as base64 of zlib; raises :class:`~celeriac.errors.InputError`."""
    if not isinstance(text, str):
        raise InputError("workflow_content is no text: base64 of a document compressed by zlib was expected")
    try:
        packed = base64.b64decode(text, validate=False)
        unpacker = zlib.decompressobj()
        body = unpacker.decompress(packed, LONGEST)
        if unpacker.unconsumed_tail:
            raise InputError(f"workflow_content is a document of more than {LONGEST} bytes")
        if not unpacker.eof:
            raise zlib.error("it is cut")
        return body.decode("utf-8")
    except (ValueError, zlib.error) as error:
        raise InputError("workflow_content is no base64 of a document compressed by zlib") from error
