"""Defers imports that cost half a second and are hardly ever needed.

onnx-ir imports sympy for arithmetic on symbolic dims, which onnxopt does itself. Loading it lazily,
by the standard library's own means, halves the start-up time of every command.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_NAMES = frozenset({"sympy", "onnx_ir._symbolic_shapes"})


class _DeferringFinder(MetaPathFinder):
    """Finds the modules named above as usual, and wraps their loader in a lazy one."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Returns a lazily loading spec for the names to defer, None for all others."""
        if fullname not in _NAMES:
            return None
        for finder in sys.meta_path:
            if isinstance(finder, _DeferringFinder):
                continue
            spec = finder.find_spec(fullname, path, target)
            if spec is not None and isinstance(spec.loader, Loader):
                spec.loader = importlib.util.LazyLoader(spec.loader)
                return spec
        return None


def install() -> None:
    """Installs the finder, once, unless the modules are loaded already."""
    if not any(isinstance(f, _DeferringFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _DeferringFinder())
