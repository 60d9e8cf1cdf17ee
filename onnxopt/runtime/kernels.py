"""Which operators the installed onnxruntime has kernels for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from onnxopt.runtime.sessions import load_onnxruntime

Kernels = dict[tuple[str, str], frozenset[str]]
"""Element types, as onnxruntime spells them (``tensor(float)``), by domain and operator."""


@lru_cache(maxsize=8)
def installed_kernels(providers: tuple[str, ...]) -> Kernels | None:
    """Lists the kernels of some providers of the installed onnxruntime.

    Args:
        providers: Full names of providers.

    Returns:
        For each operator the types that any of its type parameters may have; None where this build of
        onnxruntime does not tell, or has none of the providers.

    Raises:
        RuntimeMissingError: onnxruntime is not installed.
    """
    load_onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    listing = getattr(state, "get_all_opkernel_def", None)
    if listing is None:
        return None
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for kernel in listing():
        if kernel.provider in providers:
            found[kernel.domain, kernel.op_name].update(_types(kernel))
    return {name: frozenset(types) for name, types in found.items()} or None


def _types(kernel: Any) -> Sequence[str]:
    return [spelt for types in kernel.type_constraints.values() for spelt in types]
