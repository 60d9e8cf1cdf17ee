"""The target of a run: as its file says, less what the installed runtime lacks."""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import lru_cache

from ..errors import RuntimeMissingError, UsageError
from ..targets.load import is_file, load_target
from ..targets.target import Target
from .options import Options


@dataclasses.dataclass(frozen=True)
class Aim:
    """A target, and how the installed runtime differs from it.

    Attributes:
        target: What may be used.
        missing: Operators that the target lists and the installed runtime has no kernel for.
        compared: Whether the installed runtime has the target's providers and tells what kernels they have.
    """

    target: Target
    missing: tuple[str, ...] = ()
    compared: bool = False

    @property
    def note(self) -> str | None:
        """What a user should know of the difference, if there is any."""
        if not self.missing:
            return None
        return (
            f"target {self.target.name}: the installed onnxruntime has no {', '.join(self.missing)}"
        )


def aim(name: str) -> Aim:
    """Reads a target and compares it with the installed runtime, where there is one with its providers.

    Files that ship are read once; one of the user's anew each time, since it may change.

    Raises:
        UsageError: There is no such target, or its file is faulty.
    """
    return _aim(name) if is_file(name) else _shipped(name)


@lru_cache(maxsize=8)
def _shipped(name: str) -> Aim:
    return _aim(name)


def _aim(name: str) -> Aim:
    target = load_target(name)
    if not target.kernels or importlib.util.find_spec("onnxruntime") is None:
        return Aim(target)
    from ..runtime.kernels import installed_kernels

    present = installed_kernels(target.providers)
    if present is None:
        return Aim(target)
    missing = [kernel for kernel in target.kernels if kernel not in present]
    return Aim(target.without(missing), tuple(sorted(f"{d}.{op}" for d, op in missing)), True)


def aimed(options: Options) -> Options:
    """Returns the options with the target's providers, unless the user named some.

    Raises:
        UsageError: There is no such target, or its file is faulty.
        RuntimeMissingError: Results are to be validated, and a provider of the target is not installed.
    """
    target = load_target(options.target)
    if options.providers is not None or not target.providers:
        return options
    if options.validate and importlib.util.find_spec("onnxruntime") is not None:
        _require_providers(target)
    return dataclasses.replace(options, providers=target.providers)


def placed(options: Options, size: int) -> Options:
    """Returns the options with weights in a file of their own where the target loads that faster.

    Args:
        options: The options; whoever says where weights go is obeyed.
        size: The original's size in bytes.
    """
    above = load_target(options.target).separate_weights_above
    if options.external_data != "auto" or options.level < 2 or above is None or size <= above:
        return options
    return dataclasses.replace(options, external_data="always")


def _require_providers(target: Target) -> None:
    from ..runtime.providers import resolve

    try:
        resolve(target.providers)
    except UsageError as error:
        raise UsageError(f"{target.source}: providers: {error}") from None
    except RuntimeMissingError as error:
        raise RuntimeMissingError(
            f"target {target.name} cannot be validated here: {error}; or leave out validation with "
            "--no-validate"
        ) from None
