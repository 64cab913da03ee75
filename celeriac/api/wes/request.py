"""What is asked for with a run (WES 1.1, RunRequest), from a form or from JSON. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import celeriac
from celeriac.errors import InputError

ENGINE = "celeriac"
#: Of CWL.
VERSIONS = ("v1.0", "v1.1", "v1.2")
#: Levels of a job; cwltool takes several frames of Python's stack for each.
DEEPEST = 64
#: Tags of a run, and characters of each name and value.
TAGS = 100
LONGEST_TAG = 1000

FIELDS = (
    "workflow_params", "workflow_type", "workflow_type_version", "tags", "workflow_engine_parameters",
    "workflow_engine", "workflow_engine_version", "workflow_url",
)  # fmt: skip
_OBJECTS = ("workflow_params", "workflow_engine_parameters", "tags")


@dataclass(frozen=True)
class RunRequest:
    """A request for a run, checked as far as it can be without its document."""

    url: str  # of the document
    version: str  # of CWL
    params: dict[str, Any] = field(default_factory=dict)
    engine_parameters: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    engine: str | None = None
    engine_version: str | None = None

    def to_json(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return it as WES shows it again, with ``params`` as they may be seen."""
        found = {
            "workflow_params": dict(params),
            "workflow_type": "CWL",
            "workflow_type_version": self.version,
            "workflow_url": self.url,
            "tags": self.tags,
            "workflow_engine_parameters": self.engine_parameters,
            "workflow_engine": self.engine,
            "workflow_engine_version": self.engine_version,
        }
        return {name: value for name, value in found.items() if value is not None}


def from_form(texts: Mapping[str, str]) -> RunRequest:
    """Read the fields of a form; those that are objects are JSON. Raises :class:`~celeriac.errors.InputError`."""
    values: dict[str, Any] = {}
    for name, text in texts.items():
        if name not in FIELDS:
            raise InputError(f"there is no field {name!r}", hint="there are " + ", ".join(FIELDS))
        values[name] = parse(name, text) if name in _OBJECTS and text.strip() else text
    return from_json(values)


def from_json(values: Any) -> RunRequest:
    """Read an object with the fields of RunRequest; what is null or empty is not there."""
    if not isinstance(values, dict):
        raise InputError("the body is no JSON object with the fields of a RunRequest")
    check_values("the request", values)
    given = {name: value for name, value in values.items() if name in FIELDS and value not in (None, "")}
    objects = {name: _object(given, name) for name in _OBJECTS}
    kind = _text(given, "workflow_type", needed=True)
    version = _text(given, "workflow_type_version", needed=True)
    url = _text(given, "workflow_url", needed=True)
    assert kind is not None and version is not None and url is not None
    if kind.upper() != "CWL":
        raise InputError(f"workflow_type is {kind!r}, but this service runs CWL only")
    if version not in VERSIONS:
        raise InputError(f"workflow_type_version is {version!r}, but one of {', '.join(VERSIONS)} was expected")
    engine, engine_version = _text(given, "workflow_engine"), _text(given, "workflow_engine_version")
    if engine_version is not None and engine is None:
        raise InputError("workflow_engine_version needs a workflow_engine beside it")
    if engine is not None and engine.lower() != ENGINE:
        raise InputError(f"workflow_engine is {engine!r}, but there is only {ENGINE!r}")
    if engine_version not in (None, celeriac.__version__):
        raise InputError(f"workflow_engine_version is {engine_version!r}, but there is only {celeriac.__version__!r}")
    return RunRequest(
        url, version, objects["workflow_params"],
        {name: _word("workflow_engine_parameters", name, value)
         for name, value in objects["workflow_engine_parameters"].items()},
        _tags(objects["tags"]), engine, engine_version,
    )  # fmt: skip


def parse(name: str, text: str) -> Any:
    """Parse JSON; raises :class:`~celeriac.errors.InputError`."""

    def no_number(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number of JSON")

    try:
        return json.loads(text, parse_constant=no_number)
    except (ValueError, RecursionError) as error:
        why = "too deep" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{name} is no JSON: {why}") from error


def check_values(name: str, value: Any) -> None:
    """Raise :class:`~celeriac.errors.InputError` for what is nested too deeply, for texts and numbers that are none.

    A number such as 1e999 is an infinity once it is read, which JSON has no word for.
    """
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for part in level:
            if isinstance(part, str):
                _check_text(name, part)
            elif isinstance(part, float) and not math.isfinite(part):
                raise InputError(f"{name} has a number that is too large, or none")
            elif isinstance(part, dict):
                below += part.keys()
                below += part.values()
            elif isinstance(part, list):
                below += part
        if not below:
            return
        level = below
    raise InputError(f"{name} is nested more than {DEEPEST} levels deep")


def _check_text(name: str, text: str) -> None:
    if "\0" in text:
        raise InputError(f"{name} has a text with the character NUL")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{name} has a text that is no Unicode: half of a surrogate pair") from error


def _text(given: Mapping[str, Any], name: str, *, needed: bool = False) -> str | None:
    value = given.get(name)
    if value is None and needed:
        raise InputError(f"{name} is missing")
    if value is not None and not isinstance(value, str):
        raise InputError(f"{name} is {value!r:.100}: a text was expected")
    return value


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name, {})
    if not isinstance(value, dict):
        raise InputError(f"{name} is no JSON object")
    return value


def _tags(values: Mapping[str, Any]) -> dict[str, str]:
    if len(values) > TAGS:
        raise InputError(f"there are {len(values)} tags: {TAGS} at most were expected")
    found = {name: _word("tags", name, value) for name, value in values.items()}
    for name, value in found.items():
        if max(len(name), len(value)) > LONGEST_TAG:
            raise InputError(f"the tag {name[:60]!r} is longer than {LONGEST_TAG} characters")
    return found


def _word(name: str, key: str, value: Any) -> str:
    """Return a value as a text: clients send numbers and booleans as they are."""
    if isinstance(value, (dict, list)) or value is None:
        raise InputError(f"{name}: {key!r} is {value!r:.100}: a text was expected")
    return value if isinstance(value, str) else json.dumps(value)
