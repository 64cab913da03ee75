"""The GPUs of this host, as far as its driver tells."""

from __future__ import annotations

from pathlib import Path


def detect(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the ids of this host's NVIDIA GPUs, in order; none where there is no such driver.

    An id is the device's minor number: /dev/nvidia0 is "0". ``root`` is where /proc is.
    """
    minors = {_minor(file) for file in (root / "proc/driver/nvidia/gpus").glob("*/information")}
    return tuple(str(minor) for minor in sorted(number for number in minors if number is not None))


def _minor(file: Path) -> int | None:
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "Device Minor" and value.strip().isdecimal():
            return int(value)
    return None
