"""The GPUs of this host, as far as its driver tells."""

from __future__ import annotations

from pathlib import Path


def detect(root: Path = Path("/")) -> tuple[str, ...]:
    """Return the ids of this host's NVIDIA GPUs, in order; none where there is no such driver.

    An id is the device's UUID, which means the same GPU to the container engine and to CUDA whatever
    order either counts in; where the driver tells none, its minor number: /dev/nvidia0 is "0". The order
    is that of the minor numbers. ``root`` is where /proc is.
    """
    found = [_fields(file) for file in (root / "proc/driver/nvidia/gpus").glob("*/information")]
    known = [fields for fields in found if fields.get("Device Minor", "").isdecimal()]
    ordered = sorted(known, key=lambda fields: int(fields["Device Minor"]))
    return tuple(dict.fromkeys(_id(fields) for fields in ordered))


def _id(fields: dict[str, str]) -> str:
    uuid = fields.get("GPU UUID", "")
    # an account that may not ask the device is told a UUID of question marks
    return uuid if uuid.startswith("GPU-") and "?" not in uuid else fields["Device Minor"]


def _fields(file: Path) -> dict[str, str]:
    try:
        lines = file.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
