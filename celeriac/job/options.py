"""The options of a run that its jobs obey, as the journal keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class RunOptions:
    """How a run was submitted. One set for all its steps."""

    outdir: str | None = None  # where the final outputs go; None: the run's own directory
    basedir: str = ""  # relative inputs start here
    on_error: str = "stop"  # or "continue": run what does not need the failed step
    use_container: bool = True
    default_container: str | None = None
    match_user: bool = True  # the invoking uid:gid inside containers
    read_only: bool = True  # the root file system of containers
    custom_network: str | None = None
    reuse_container: bool = False  # the items of every scattered step run one after the other in one container
    pull: bool = True
    force_pull: bool = False
    strict_memory_limit: bool = False
    strict_cpu_limit: bool = False
    preserve_environment: tuple[str, ...] = ()
    preserve_entire_environment: bool = False
    compute_checksum: bool = True
    eval_timeout: float = 60.0
    scratch: str | None = None  # the directory that work directories are made in (--tmpdir-prefix)
    keep_scratch: bool = False  # after success too
    log_dir: str | None = None  # a copy of each tool's logs goes here
    cachedir: str | None = None  # results are kept and reused here
    reuse: bool = True  # take what an earlier run made, where this one would make the same
    remove_intermediate: bool = False  # remove a step's outputs when the last step that reads them has ended well
    access: dict[str, Any] | None = None  # of celeriac.access.Access: what it may reach; None: nothing is refused
    secrets: tuple[str, ...] = ()  # the placeholders of its secret values, which are not in the journal
    notify: str | None = None  # the URL of a listener that is told of this run, beside the one of the settings
    notify_weblog: bool = False  # it takes events as Nextflow posts them
    cleanup: bool = False  # remove the run's directory when it has ended well

    def to_json(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        values = asdict(self)
        return {f.name: v for f in fields(self) if (v := values[f.name]) != f.default}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RunOptions:
        """Rebuild from :meth:`to_json`; unknown keys are ignored."""
        known = {f.name for f in fields(cls)}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
        return cls(**values)
