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
    255 * 127 * 2, so one bit of the weights must stay unused. Only Linux tells what there is; elsewhere it is taken for
    missing, since a bit less rounds more coarsely, and saturation makes results wrong.

    Args:
        provider: full provider name.

    Returns:
        7 on x86 that is not known to have them, else 8.
    """
    if provider != CPU or platform.machine() not in _X86:
        return 8
    return 8 if any(name in _flags() for name in _DOT_PRODUCTS) else 7


def why_fewer() -> str:
    """What keeps `weight_bits` from all, in words."""
    if _flags():
        return "this processor has no dot products of 8-bit integers (VNNI)"
    return (
        "this system does not tell whether the processor has dot products of 8-bit integers (VNNI)"
    )


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
