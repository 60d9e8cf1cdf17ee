"""What the processor can do that quantisation depends on."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

from onnxopt.runtime.providers import CPU

_DOT_PRODUCTS = ("avx512_vnni", "avx_vnni", "amx_int8")
_X86 = ("x86_64", "AMD64", "i386", "i686")


def weight_bits(provider: str) -> int:
    """How many bits of 8-bit weights may be used.

    Without dot products of 8-bit integers, kernels for x86 add two products of 8 bits in 16: that saturates at
    255 * 127 * 2, so one bit of the weights must stay unused.

    Args:
        provider: full provider name.

    Returns:
        7 on such processors, else 8.
    """
    if provider != CPU or platform.machine() not in _X86:
        return 8
    flags = _flags()
    return 7 if flags and not any(name in flags for name in _DOT_PRODUCTS) else 8


@cache
def _flags() -> frozenset[str]:
    """The processor's features, as Linux lists them; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()
