"""What an object does when its process is forked, for as long as the object lives."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Protocol


class Forked(Protocol):
    """Is told of each fork of its process."""

    def before_fork(self) -> None:
        """Make ready: called by the thread that forks."""

    def in_parent(self) -> None:
        """Go on as before."""

    def in_child(self) -> None:
        """Let go of what is the parent's."""


def follow(one: Forked) -> None:
    """Tell an object of forks from now on; it is not kept alive by that."""
    known = weakref.ref(one)

    def call(method: Callable[[Forked], None]) -> Callable[[], None]:
        def hook() -> None:
            found = known()
            if found is not None:
                method(found)

        return hook

    os.register_at_fork(
        before=call(lambda found: found.before_fork()),
        after_in_parent=call(lambda found: found.in_parent()),
        after_in_child=call(lambda found: found.in_child()),
    )
