"""Secret values of a run (``cwltool:Secrets``): all that handles a run has placeholders, a tool alone gets the values.

Placeholders go the way of values: from step to step, into command lines, environments and files. They are put back
at the last moment before a tool starts, and values are taken out again of all that is told of it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cwltool.job import JobBase
from cwltool.pathmapper import PathMapper

from celeriac.access import is_within
from celeriac.container.base import Command
from celeriac.errors import CeleriacError, InputError
from celeriac.job.report import JobReport

#: A file with a value in it: where it is mapped, and its key there.
Written = tuple[PathMapper, str]

#: Characters of a value that is also looked for within longer texts: a shorter one is in any text.
_LONG = 4


@dataclass(frozen=True)
class Secrets:
    """Placeholder -> value. Its repr shows no value."""

    values: Mapping[str, str] = field(repr=False, default_factory=dict)

    def reveal(self, text: str) -> str:
        """Return a text with the values in it."""
        for placeholder, value in self.values.items():
            text = text.replace(placeholder, value)
        return text

    def in_shell(self, text: str) -> str:
        """Return a shell's command with the values in it: one in quotes stays one word, whatever is in it."""
        for placeholder, value in self.values.items():
            escaped = value.replace("'", "'\"'\"'")
            pieces = text.split(placeholder)
            whole = pieces[0]
            for piece in pieces[1:]:
                whole += (escaped if _is_quoted(whole) else value) + piece
            text = whole
        return text

    def command(self, command: Command, job: JobBase) -> Command:
        """Return a job's command with the values in its words and its environment."""
        shell = job.builder.get_requirement("ShellCommandRequirement")[0] is not None
        show = self.in_shell if shell else self.reveal
        return replace(
            command,
            argv=tuple(show(word) for word in command.argv),
            env={name: self.reveal(value) for name, value in command.env.items()},
        )

    def reveal_files(self, *mappers: PathMapper | None) -> list[Written]:
        """Put the values into files that are about to be written; return which have one."""
        found = []
        for mapper in filter(None, mappers):
            for key, entry in list(mapper.items()):
                if entry.type in ("CreateFile", "CreateWritableFile") and self.reveal(entry.resolved) != entry.resolved:
                    mapper.update(key, self.reveal(entry.resolved), entry.target, entry.type, entry.staged)
                    found.append((mapper, key))
        return found

    def mask(self, value: Any) -> Any:
        """Return a JSON value with placeholders where there were values, in texts too."""
        if isinstance(value, str):
            return self._mask(value)
        if isinstance(value, Mapping):
            return {self._mask(str(name)): self.mask(part) for name, part in value.items()}
        return [self.mask(part) for part in value] if isinstance(value, (list, tuple)) else value

    def _mask(self, text: str) -> str:
        # the longest first: one may be within another
        for placeholder, secret in sorted(self.values.items(), key=lambda item: -len(item[1])):
            if text == secret:
                return placeholder
            if len(secret) >= _LONG:
                for form in dict.fromkeys((secret, json.dumps(secret)[1:-1], repr(secret)[1:-1])):
                    text = text.replace(form, placeholder)
        return text

    def report(self, report: JobReport) -> JobReport:
        """Return a report without the values."""
        error = report.error and self.error(report.error)
        return replace(report, outputs=self.mask(report.outputs), command=self.mask(report.command), error=error)

    def error(self, error: CeleriacError) -> CeleriacError:
        """Return an error of the same kind without the values."""
        kind, told = type(error), self.mask([error.message, error.hint, error.where])
        return kind(told[0], hint=told[1], where=told[2], **self.mask(error.fields))


def remove_files(written: Iterable[Written], root: Path) -> None:
    """Remove files that were written with a value in them, below an attempt's directory."""
    for mapper, key in written:
        entry = dict(mapper.items())[key]
        if entry.staged and is_within(entry.resolved, (str(root),)):
            Path(entry.resolved).unlink(missing_ok=True)


def _is_quoted(text: str) -> bool:
    """Whether what follows a part of a shell's command is within single quotes."""
    # what is skipped: an escaped character, a text in double quotes, one in single quotes
    rest = re.sub(r"""\\.|"(?:[^"\\]|\\.)*"|'[^']*'""", "", text, flags=re.DOTALL)
    return "'" in rest


def hide(inputs: dict[str, Any], names: Iterable[str]) -> tuple[dict[str, Any], Secrets]:
    """Return inputs with placeholders, and what they stand for.

    Raises :class:`~celeriac.errors.InputError` for a secret that is no text, nor made of texts.
    """
    values: dict[str, str] = {}

    def put(value: Any, name: str) -> Any:
        if value is None:
            return None
        if isinstance(value, str):
            placeholder = f"(secret-{secrets.token_hex(8)})"
            values[placeholder] = value
            return placeholder if value else value
        if isinstance(value, Mapping) and "class" not in value:
            return {key: put(part, name) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [put(part, name) for part in value]
        raise InputError(f"the secret input '{name}' is a {type(value).__name__}: a text was expected")

    hidden = {name: put(inputs[name], name) for name in names if name in inputs}
    return {**inputs, **hidden}, Secrets({placeholder: value for placeholder, value in values.items() if value})
