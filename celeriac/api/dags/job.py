"""``conf`` of a request: a job, and where its outputs and temporary files go. Pure but for the links of directories."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from celeriac.access import Access
from celeriac.api import params
from celeriac.api.wes.request import check_values, parse
from celeriac.api.wes.submit import allowed
from celeriac.errors import InputError
from celeriac.job.fence import Fence
from celeriac.job.options import RunOptions

_OUTPUTS = ("outputs_folder", "output_folder")
_TEMPORARY = "tmp_folder"


def read(conf: Any) -> dict[str, Any]:
    """Return ``conf``, which is a text with JSON, as an object. Raises :class:`~celeriac.errors.InputError`."""
    found = parse("conf", conf) if isinstance(conf, str) and conf.strip() else {} if conf in (None, "") else conf
    if not isinstance(found, dict):
        raise InputError("conf is no JSON object")
    check_values("conf", found)
    return found


def job(conf: dict[str, Any], access: Access, usual: RunOptions, directory: Path) -> tuple[dict[str, Any], RunOptions]:
    """Return the job in ``conf``, its files resolved, and the run's options.

    Raises :class:`~celeriac.errors.InputError`, and :class:`~celeriac.errors.AccessError` for a folder outside of
    the directories that are allowed.
    """
    values = conf.get("job", {})
    if not isinstance(values, dict):
        raise InputError("the job in conf is no JSON object")
    values = dict(values)
    outputs = [values.pop(name) for name in _OUTPUTS if values.get(name)]
    temporary = values.pop(_TEMPORARY, None)
    options = replace(
        usual,
        outdir=_folder(_OUTPUTS[0], outputs[0], access) if outputs else None,
        scratch=_folder(_TEMPORARY, temporary, access) if temporary else None,
    )
    for name in _OUTPUTS:
        values.pop(name, None)
    return params.resolve(values, (), directory, allowed(access)), options


def _folder(name: str, given: Any, access: Access) -> str:
    if not isinstance(given, str) or not given.startswith("/"):
        raise InputError(f"{name} is {given!r:.200}: an absolute path was expected")
    return Fence(access, []).path(given)
