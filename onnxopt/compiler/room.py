"""Whether a model can be run here at all: its weights have to fit in memory."""

from __future__ import annotations

from pathlib import Path

_MEMORY = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def lack_of_memory(size: int) -> str:
    """Why a model is not run, or ''.

    Where memory does not even hold the weights, a run ends in the system killing processes, or in hours of paging.

    Args:
        size: Bytes of the model and its weights.
    """
    there = available()
    if there is None or size <= there:
        return ""
    return (
        f"it takes {size / 1e9:.1f} GB to run the original, and {there / 1e9:.1f} GB of memory are available; "
        "compare the two where there is more (`onnxopt compare`)"
    )


def available() -> int | None:
    """Bytes of memory that processes can still have, by Linux and by the control group; None where that is not known."""
    try:
        lines = _MEMORY.read_text().splitlines()
        found = next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")
        )
    except (OSError, StopIteration, ValueError, IndexError):
        return None
    try:
        most = (_GROUP / "memory.max").read_text().strip()
        used = int((_GROUP / "memory.current").read_text())
        return found if most == "max" else max(0, min(found, int(most) - used))
    except (OSError, ValueError):
        return found
