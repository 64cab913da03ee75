"""The error of a tool that ran out of memory: the same for containers and processes."""

from __future__ import annotations

from celeriac.errors import KilledFromOutside, OutOfMemory


def out_of_memory(
    what: str,
    name: str,
    *,
    limit: int | None,
    peak_memory: int | None,
    cpu_seconds: float | None,
    exit_code: int,
) -> OutOfMemory:
    """Return the error for ``what`` (for people).

    What ran into its limit has used all of it, whatever was seen before: looks come seconds apart.
    """
    peak = limit or peak_memory
    had = f"the {limit / 2**20:.0f} MiB that it has" if limit else "what the host has"
    used = "" if peak is None else f"it used {peak / 2**20:.0f} MiB{'' if limit else ' when last seen'}, and "
    return OutOfMemory(
        f"{what} used more memory than {had} and was ended",
        hint=f"{used}had {_had(limit)}: raise ramMin in the tool's ResourceRequirement",
        name=name,
        limit=limit,
        peak_memory=peak,
        cpu_seconds=cpu_seconds,
        exit_code=exit_code,
    )


def host_out_of_memory(what: str, name: str, *, limit: int | None, exit_code: int) -> KilledFromOutside:
    """Return the error for what the kernel ended though it kept to its own limit."""
    within = f" within its limit of {limit / 2**20:.0f} MiB" if limit else ""
    return KilledFromOutside(
        f"{what} was ended by the kernel's out-of-memory killer{within}: the host, or the worker's own group, "
        "had no memory left",
        hint="let fewer steps run on this host at once, or give the worker more memory",
        name=name,
        exit_code=exit_code,
    )


def _had(limit: int | None) -> str:
    return f"{limit / 2**20:.0f} MiB" if limit else "no limit of its own"
