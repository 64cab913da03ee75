"""Bind inputs to a process that many jobs share.

cwltool writes into the schema of a process while it binds inputs: an ``Any`` becomes the type of the
first value that comes by, for all that follow. A worker keeps a process for many jobs, so the schema
is put back before each, and one job at a time is bound.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cwltool.builder import Builder
from cwltool.context import RuntimeContext
from cwltool.process import Process

_ANY = "org.w3id.cwl.salad.Any"
_KEPT = "celeriac_schema"
_one_at_a_time = threading.RLock()


@contextmanager
def binding(process: Process) -> Iterator[None]:
    """Hold a process with its schema as it was loaded."""
    with _one_at_a_time:
        kept = vars(process).get(_KEPT)
        if kept is None:
            text = json.dumps([process.inputs_record_schema, dict(process.schemaDefs)], default=str)
            both = (process.inputs_record_schema, process.schemaDefs)
            kept = vars(process)[_KEPT] = copy.deepcopy(both) if _ANY in text else ()
        if kept:
            process.inputs_record_schema, process.schemaDefs = copy.deepcopy(kept)
        yield


def bind(process: Process, inputs: dict[str, Any], context: RuntimeContext) -> Builder:
    """Return cwltool's builder of a process with its inputs: defaults in, validated, bound."""
    with binding(process):
        return process._init_job(inputs, context)
