"""The timer behind the scan: every worker has one, and so has an embedded run."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celeriac.engine.scan import scan

log = logging.getLogger(__name__)


class Scanner:
    """Runs the scan from time to time, in a thread."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="celeriac-scan", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End it; does not wait."""
        self._stop.set()

    def _loop(self) -> None:
        while not self._stop.wait(self._engine.settings.scan_interval):
            try:
                scan(self._engine)
            except Exception as error:
                log.warning("the scan failed and is tried again: %s", error)
