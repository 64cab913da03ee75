"""The errors of Celeriac: one small tree, each with fields and an exit code.

Every message names the thing, what was expected, what was found and what to do.
Errors cross process borders as plain dictionaries (:meth:`CeleriacError.to_dict`), since
Celery messages and the journal carry JSON only.
"""

from __future__ import annotations

from typing import Any, ClassVar

#: Exit code of a run that failed or of a wrong input (CWL runner contract).
EXIT_FAILED = 1
#: Exit code for a document that needs a feature this runner has not (CWL runner contract).
EXIT_UNSUPPORTED = 33


class CeleriacError(Exception):
    """The root of all errors that a user may see.

    ``message`` is one clear sentence or more; ``hint`` says what to do about it; ``where`` is a
    place such as ``queues.yaml:3``; the rest of the keywords are fields for programs.
    """

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "", where: str = "", **fields: Any) -> None:
        self.message = message
        self.hint = hint
        self.where = where
        self.fields = fields
        super().__init__(message)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        hint = self.hint.replace("\n", "\n  ")
        return f"{text}\n  {hint}" if hint else text

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON, to be kept in the journal or sent to another process."""
        return {
            "type": type(self).__name__,
            "message": self.message,
            "hint": self.hint,
            "where": self.where,
            "fields": {k: v for k, v in self.fields.items() if _is_json(v)},
        }


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float, bool, list, dict))


def from_dict(data: dict[str, Any]) -> CeleriacError:
    """Rebuild an error from :meth:`CeleriacError.to_dict`; an unknown type becomes the root."""
    kind = _by_name(CeleriacError).get(data.get("type", ""), CeleriacError)
    return kind(
        data.get("message", ""),
        hint=data.get("hint", ""),
        where=data.get("where", ""),
        **data.get("fields", {}),
    )


def _by_name(root: type[CeleriacError]) -> dict[str, type[CeleriacError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found.update(_by_name(child))
    return found


# --- the user's own mistakes -------------------------------------------------------------------


class UserError(CeleriacError):
    """Something that the user wrote is wrong; running it again won't help."""


class UsageError(UserError):
    """The command line is wrong."""


class DocumentError(UserError):
    """A CWL document can't be read, is not valid, or contradicts itself."""


class InputError(UserError):
    """The job's input object doesn't fit what the document asks for."""


class QueueFileError(UserError):
    """The queue file can't be read or is not valid."""


class SettingsError(UserError):
    """A setting has a value that it can't have."""


class PlacementError(UserError):
    """A step asks for more than any queue has."""


class HostTooSmall(CeleriacError):
    """A host can never hold what a step or a queue needs, however idle it is."""


class NotFoundError(UserError):
    """A run or a step of that name is not in the journal."""


class AccessError(UserError):
    """Something from outside asks for what the operator has not allowed; it tells nothing of what is there."""


class UnsupportedError(UserError):
    """The document is right, but needs what this runner does not do (exit code 33)."""

    exit_code = EXIT_UNSUPPORTED


# --- expressions ---------------------------------------------------------------------------------


class ExpressionError(CeleriacError):
    """A CWL expression failed: a syntax error, an exception, a value that is no JSON."""


class ExpressionTimeout(ExpressionError):
    """A CWL expression used more time than ``--eval-timeout`` allows."""


class ExpressionMemoryError(ExpressionError):
    """A CWL expression used more memory than the engine allows."""


# --- services ------------------------------------------------------------------------------------


class UnavailableError(CeleriacError):
    """A service that is needed does not answer."""


class BrokerUnavailable(UnavailableError):
    """The message broker does not answer."""


class JournalUnavailable(UnavailableError):
    """The journal's database does not answer, or has another schema."""


# --- containers and processes ----------------------------------------------------------------------


class ContainerError(CeleriacError):
    """A tool could not be run, or was ended by something else than itself."""


class ImageNotFound(ContainerError):
    """The image is not on this host and could not be fetched or built."""


class EngineUnreachable(ContainerError):
    """The container engine does not answer."""


class EnginePermissionDenied(ContainerError):
    """This user may not talk to the container engine's socket."""


class NameTaken(ContainerError):
    """A container of that name is alive: another attempt with this name is under way."""


class MountRefused(ContainerError):
    """The engine refused to mount a path into the container."""


class CommandNotFound(ContainerError):
    """The program that the tool names is not there or can't be executed."""


class OutOfMemory(ContainerError):
    """The tool was ended since it used more memory than it has."""


class TimeLimitExceeded(ContainerError):
    """The tool ran longer than its ToolTimeLimit and was ended."""


class DiskFull(ContainerError):
    """A file system has less room than is needed; it is not the tool's own failure."""


class KilledFromOutside(ContainerError):
    """Somebody or something else ended the tool; it is not the tool's own failure."""


class Cancelled(ContainerError):
    """The tool was ended since its run or step was cancelled."""


# --- outcomes ------------------------------------------------------------------------------------


class StepFailed(CeleriacError):
    """A step ended without success."""


class WorkerLost(StepFailed):
    """The worker that ran a step stopped answering, each time that it was tried."""


class RunFailed(CeleriacError):
    """A run ended without success."""


class RunCancelled(CeleriacError):
    """A run was cancelled."""
