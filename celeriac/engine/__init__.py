"""The use cases: submit, advance, execute, cancel, scan. They decide by the scheduler and act at the edges."""

from celeriac.engine.engine import Engine

__all__ = ["Engine"]
