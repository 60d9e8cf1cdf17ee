"""Provider names: what users write, what onnxruntime calls them, what is present here."""

from __future__ import annotations

from collections.abc import Sequence

from onnxopt.errors import RuntimeMissingError, UsageError
from onnxopt.runtime.sessions import load_onnxruntime

_SUFFIX = "ExecutionProvider"
CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# Short spellings that differ from the full name without its suffix, lower-cased.
_ALIASES = {"trt": "TensorrtExecutionProvider", "dml": "DmlExecutionProvider", "gpu": CUDA}

_REMEDIES = {
    CPU: "install onnxopt[cpu]",
    CUDA: "install onnxopt[cuda] on a machine with an NVIDIA GPU (it replaces onnxruntime)",
    "TensorrtExecutionProvider": "install onnxopt[cuda] and NVIDIA TensorRT",
    "DmlExecutionProvider": "install onnxruntime-directml instead of onnxruntime",
    "OpenVINOExecutionProvider": "install onnxruntime-openvino instead of onnxruntime",
    "ROCMExecutionProvider": "install onnxruntime-rocm instead of onnxruntime",
    "MIGraphXExecutionProvider": "install onnxruntime-migraphx instead of onnxruntime",
    "QNNExecutionProvider": "install onnxruntime-qnn instead of onnxruntime",
    "CoreMLExecutionProvider": "use onnxruntime on macOS",
}


def available() -> list[str]:
    """Full names of the providers of the installed onnxruntime, best first.

    Raises:
        RuntimeMissingError: onnxruntime is not installed.
    """
    return list(load_onnxruntime().get_available_providers())


def resolve(names: Sequence[str] | None) -> list[str]:
    """Turn what a user wrote into full provider names that are present here.

    Args:
        names: short (``cpu``, ``cuda``, ``tensorrt``) or full (``CUDAExecutionProvider``) names, any
            case; None or empty means CPU, and CUDA where onnxruntime offers it.

    Returns:
        Full names without repetition, in the order asked for.

    Raises:
        UsageError: onnxruntime knows no provider of that name.
        RuntimeMissingError: onnxruntime, or that provider, is not installed here.
    """
    present = available()
    if not names:
        return [name for name in (CPU, CUDA) if name in present]
    known = _known(present)
    resolved: list[str] = []
    for name in names:
        full = _full_name(name, known)
        if full not in present:
            raise RuntimeMissingError(
                f"provider {name!r} ({full}) is not in the installed onnxruntime: {_remedy(full)}"
            )
        if full not in resolved:
            resolved.append(full)
    return resolved


def chain(provider: str) -> list[str]:
    """The provider list of a session: the provider, then CPU for what it does not run."""
    return [provider] if provider == CPU else [provider, CPU]


def _known(present: Sequence[str]) -> dict[str, str]:
    names = [*load_onnxruntime().get_all_providers(), *present, *_REMEDIES]
    return {name.lower(): name for name in names}


def _full_name(name: str, known: dict[str, str]) -> str:
    key = name.strip().lower()
    for spelling in (key, key + _SUFFIX.lower()):
        if spelling in known:
            return known[spelling]
    if key in _ALIASES:
        return _ALIASES[key]
    short = sorted(full.removesuffix(_SUFFIX).lower() for full in known.values())
    raise UsageError(f"unknown provider {name!r}: use one of {', '.join(short)}")


def _remedy(full: str) -> str:
    return _REMEDIES.get(full, f"install an onnxruntime build with {full}")
