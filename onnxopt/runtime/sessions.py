"""Loading onnxruntime and making sessions: the only place that sets session options.

Every session is quiet (nothing is written to the terminal) and never falls back to another provider
behind the caller's back. Unless it is timed, it does not spin while idle: several sessions on one
machine would disturb each other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from onnxopt.errors import RuntimeMissingError

_FATAL_ONLY = 4
_LOCATION = re.compile(r"(?:[A-Za-z]:)?[\\/]\S+\.(?:h|hpp|cc|cpp|cu|cuh):\d+\s+\S.*?\)\s+")
_CODE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : (\w+) : ")
_MAX_REASON = 300


def load_onnxruntime() -> Any:
    """Return the onnxruntime module.

    Raises:
        RuntimeMissingError: onnxruntime is not installed, or its libraries do not load.
    """
    try:
        import onnxruntime
    except ImportError as error:
        detail = "" if isinstance(error, ModuleNotFoundError) else f" ({one_line(error)})"
        raise RuntimeMissingError(
            f"onnxruntime is not installed{detail}: install onnxopt[cpu], or onnxopt[cuda] for"
            " NVIDIA GPUs"
        ) from error
    if not hasattr(onnxruntime, "InferenceSession"):
        raise RuntimeMissingError(
            "onnxruntime is installed but broken (no InferenceSession): reinstall onnxopt[cpu] or"
            " onnxopt[cuda]"
        )
    return onnxruntime


Level = Literal["disabled", "basic", "extended", "default"]
"""Which graph optimisations a session applies; ``default`` is what users get."""


def make_options(
    *,
    level: Level,
    threads: int | None = None,
    custom_op_libraries: Sequence[str] = (),
    timed: bool = False,
) -> Any:
    """Session options for a quiet session.

    Args:
        level: graph optimisation level.
        threads: intra-op threads; None leaves onnxruntime's default (all cores).
        custom_op_libraries: shared libraries that register custom operators.
        timed: the session is timed: its threads spin while idle, as a user's would.

    Returns:
        An ``onnxruntime.SessionOptions``.
    """
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    if not timed:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    if level != "default":
        name = "ORT_DISABLE_ALL" if level == "disabled" else f"ORT_ENABLE_{level.upper()}"
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, name)
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = threads
    for library in custom_op_libraries:
        options.register_custom_ops_library(os.fspath(library))
    return options


def make_session(
    model: bytes | str | Path,
    *,
    level: Level,
    providers: Sequence[str] = ("CPUExecutionProvider",),
    threads: int | None = None,
    custom_op_libraries: Sequence[str] = (),
    timed: bool = False,
    save_to: tuple[Path, str] | None = None,
) -> Any:
    """Create an ``onnxruntime.InferenceSession`` on exactly the providers asked for.

    Args:
        model: serialised model, or the path of one (a path lets external data be found).
        level: graph optimisation level.
        providers: full provider names, in order of preference.
        threads: intra-op threads; None for all cores.
        custom_op_libraries: shared libraries that register custom operators.
        timed: the session is timed: it works as fast as one that a user makes without options.
        save_to: where to write the graph as the runtime optimised it, and the name of the file beside it for its
            weights.

    Returns:
        The session. Whatever onnxruntime raises is passed on; see `one_line`.
    """
    ort = load_onnxruntime()
    options = make_options(
        level=level, threads=threads, custom_op_libraries=custom_op_libraries, timed=timed
    )
    if save_to is not None:
        _save_graph(options, *save_to)
    session = ort.InferenceSession(
        os.fspath(model) if isinstance(model, Path) else model,
        options,
        providers=[name if timed else _with_options(name) for name in providers],
        enable_fallback=0,
    )
    if providers[0] not in session.get_providers():
        raise RuntimeError(f"{providers[0]} did not start (its libraries are missing)")
    return session


def _save_graph(options: Any, path: Path, weights: str) -> None:
    prefix = "session.optimized_model_external_initializers"
    options.optimized_model_filepath = os.fspath(path)
    options.add_session_config_entry(f"{prefix}_file_name", weights)
    options.add_session_config_entry(f"{prefix}_min_size_in_bytes", "1024")


def _with_options(provider: str) -> str | tuple[str, dict[str, str]]:
    """TF32 rounds float32 to 11 bits: it would hide real differences between two models."""
    if provider == "CUDAExecutionProvider":
        return provider, {"use_tf32": "0"}
    return provider


def one_line(error: BaseException | str) -> str:
    """Shorten an error to one line: no source locations, no codes that say nothing."""
    text = str(error) or type(error).__name__
    text = _LOCATION.sub("", " ".join(text.split()))
    match = _CODE.match(text)
    if match:
        code = match.group(1)
        text = text[match.end() :]
        if code not in ("FAIL", "RUNTIME_EXCEPTION"):
            text = f"{code}: {text}"
    text = text.strip()
    return text if len(text) <= _MAX_REASON else text[: _MAX_REASON - 1] + "…"
