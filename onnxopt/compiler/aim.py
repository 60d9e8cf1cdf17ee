"""The target of a run: as its file says, less what the installed runtime lacks."""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import lru_cache

from ..targets.load import load_target
from ..targets.target import Target
from .options import Options


@dataclasses.dataclass(frozen=True)
class Aim:
    """A target, and how the installed runtime differs from it.

    Attributes:
        target: What may be used.
        missing: Operators that the target lists and the installed runtime has no kernel for.
    """

    target: Target
    missing: tuple[str, ...] = ()

    @property
    def note(self) -> str | None:
        """What a user should know of the difference, if there is any."""
        if not self.missing:
            return None
        return (
            f"target {self.target.name}: the installed onnxruntime has no {', '.join(self.missing)}"
        )


@lru_cache(maxsize=8)
def aim(name: str) -> Aim:
    """Reads a target and compares it with the installed runtime, where there is one with its providers.

    Raises:
        UsageError: There is no such target, or its file is faulty.
    """
    target = load_target(name)
    if not target.kernels or importlib.util.find_spec("onnxruntime") is None:
        return Aim(target)
    from ..runtime.kernels import installed_kernels

    present = installed_kernels(target.providers)
    if present is None:
        return Aim(target)
    missing = [kernel for kernel in target.kernels if kernel not in present]
    return Aim(target.without(missing), tuple(sorted(f"{d}.{op}" for d, op in missing)))


def aimed(options: Options) -> Options:
    """Returns the options with the target's providers, unless the user named some.

    Raises:
        UsageError: There is no such target, or its file is faulty.
    """
    target = load_target(options.target)
    if options.providers is not None or not target.providers:
        return options
    return dataclasses.replace(options, providers=target.providers)
