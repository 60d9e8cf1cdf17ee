"""Where and with what something was measured, in words."""

from __future__ import annotations

import importlib.util
import os
import platform
from contextlib import suppress
from pathlib import Path


def describe(provider: str | None = None) -> dict[str, str]:
    """Names versions and hardware.

    Args:
        provider: The onnxruntime provider that was timed, if one was.
    """
    from .. import __version__

    found = {
        "onnxopt": __version__,
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": str(os.cpu_count() or 0),
    }
    if provider is not None:
        found["provider"] = provider
    if importlib.util.find_spec("onnxruntime") is not None:
        from ..runtime.sessions import load_onnxruntime

        found["onnxruntime"] = str(load_onnxruntime().__version__)
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
