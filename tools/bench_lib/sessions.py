"""Sessions of onnxruntime as users open them, for child processes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def open_session(
    model: Path,
    provider: str = "cpu",
    *,
    optimise: bool = True,
    threads: int = 0,
    spinning: bool = True,
    profile: Path | None = None,
) -> Any:
    """A session with onnxruntime's default options, but for those given.

    Args:
        model: The file.
        provider: ``cpu`` or ``cuda``.
        optimise: Whether onnxruntime optimises the graph, as far as it can.
        threads: Threads within an operator; 0 for onnxruntime's own choice.
        spinning: Whether threads spin while they wait for work, as by default.
        profile: Prefix of the profiler's file, if the session is to be profiled.

    Raises:
        RuntimeError: The provider cannot be used, and onnxruntime would go on without it.
    """
    import onnxruntime

    prepare(provider)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    wanted = PROVIDERS[provider]
    chain = list(dict.fromkeys([wanted, PROVIDERS["cpu"]]))
    session = onnxruntime.InferenceSession(str(model), options, providers=chain)
    if wanted not in session.get_providers():
        raise RuntimeError(f"onnxruntime {onnxruntime.__version__} cannot use its {wanted} here")
    return session


@cache
def prepare(provider: str) -> None:
    """Load what the provider needs, once, where onnxruntime has a call for it."""
    import onnxruntime

    if provider == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()
