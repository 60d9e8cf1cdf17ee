"""Where a report was made: the command, the machine, the versions."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from importlib import metadata

_PACKAGES = ("onnxopt", "onnxruntime", "onnxruntime-gpu", "onnx", "onnx-ir", "numpy")


def command() -> str:
    """The command as it can be pasted into a shell; the program by its name alone."""
    program = os.path.basename(sys.argv[0]) or "onnxopt"
    if program == "__main__.py":
        program = "onnxopt"
    return shlex.join([program, *sys.argv[1:]])


def facts() -> dict[str, str]:
    """The machine and the versions of what is installed, by what they are called."""
    found = {
        "system": platform.platform(),
        "processor": f"{_processor()}, {os.cpu_count()} logical cores",
        "python": platform.python_version(),
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """The processor's name, as Linux tells it; elsewhere its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
