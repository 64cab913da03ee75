"""What is wrong with an input object: the input, what was expected, what was found, the line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celeriac.document.kinds import kind
from celeriac.document.reasons import reason
from celeriac.errors import InputError
from celeriac.graph.translate import short

if TYPE_CHECKING:
    from celeriac.document.inputs import Job

#: How much of a value is shown.
SHOWN = 80


_MISSING = re.compile(r"Missing required input parameter '(.+)'")
_FORMAT = re.compile(r"Expected value of '(.+)' to have format '?(.+?)'? but", re.DOTALL)
_NAMELESS = re.compile(r"Anonymous (file|directory) object must have .*")


def misfit(error: BaseException, ports: Sequence[Any], job: Job, defaults: Mapping[str, Any]) -> InputError:
    """Say which input does not fit and why; ``error`` is what cwltool says about the whole."""
    why = reason(error)
    declared = {short(port["id"]): port["type"] for port in ports}
    unknown = _unknown(declared, job)
    values = {**defaults, **job.values}
    if found := _FORMAT.match(why.text):
        name, wanted = found[1], found[2]
        return InputError(f"the input '{name}' is of another format than {wanted}", where=job.where(name))
    if found := _NAMELESS.match(why.text):
        return InputError(f"a {found[1]} in it has no path, location or contents", where=job.name)
    missing = _MISSING.search(why.text)
    name = missing[1] if missing else why.fields[0] if why.fields else ""
    if name not in declared:
        hint = f"it is declared at {why.where}" if why.where else unknown
        return InputError(why.text, where=job.name, hint=hint)
    state = f"is {_show(values[name])}" if name in values else "is missing"
    has_parts = isinstance(values.get(name), (list, Mapping))
    detail = f"{why.where or 'more exactly'}: {why.sentence}" if has_parts and not missing else ""
    return InputError(
        f"the input '{name}' {state}, but {kind(declared[name])} was expected",
        hint="\n".join(filter(None, (detail, unknown))),
        where=job.where(name),
    )


def _unknown(declared: Mapping[str, Any], job: Job) -> str:
    names = [name for name in job.values if name not in declared and not name.startswith(("$", "http", "cwl:"))]
    return f"the document has no input called {', '.join(names)}" if names else ""


def _show(value: Any) -> str:
    if isinstance(value, Mapping) and value.get("class") in ("File", "Directory"):
        return f"a {value['class']}"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
