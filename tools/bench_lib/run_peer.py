"""The shortest program that optimises a model with a peer: what a user of its API would write.

Their own command lines do more (tables, statistics) and are slower; the library calls are the fairer
comparison. Defaults are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bench_lib.sessions import PROVIDERS, prepare


def onnxsim(source: str, target: str) -> None:
    """onnxsim, without its optional check runs."""
    import onnx
    import onnxsim as tool

    model, _ = tool.simplify(onnx.load(source))
    onnx.save(model, target)


def onnxslim(source: str, target: str) -> None:
    """onnxslim."""
    import onnx
    import onnxslim as tool

    onnx.save(tool.slim(source), target)


def onnxoptimizer(source: str, target: str) -> None:
    """onnxoptimizer with the passes its command line runs: all fusions and eliminations."""
    import onnx
    import onnxoptimizer as tool

    passes = tool.get_fuse_and_elimination_passes()
    onnx.save(tool.optimize(onnx.load(source), passes), target)


def onnxscript(source: str, target: str) -> None:
    """onnxscript's optimizer on a model loaded by onnx-ir, which maps weights instead of copying."""
    import onnx_ir as ir
    import onnxscript.optimizer as tool

    model = ir.load(source)
    tool.optimize_ir(model)
    beside = any(
        isinstance(v.const_value, ir.ExternalTensor) for v in model.graph.initializers.values()
    )
    ir.save(model, target, external_data=f"{Path(target).name}.data" if beside else None)


def onnxruntime_basic(source: str, target: str, provider: str = "cpu") -> None:
    """onnxruntime's offline optimisation at the basic level: standard ops only."""
    _onnxruntime(source, target, "ORT_ENABLE_BASIC", provider)


def onnxruntime_extended(source: str, target: str, provider: str = "cpu") -> None:
    """onnxruntime's offline optimisation at the extended level: contrib ops too."""
    _onnxruntime(source, target, "ORT_ENABLE_EXTENDED", provider)


def _onnxruntime(source: str, target: str, level: str, provider: str) -> None:
    import onnxruntime

    prepare(provider)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    options.optimized_model_filepath = target
    options.log_severity_level = 3
    if Path(source + ".data").exists():  # else the output would refer to data that is not beside it
        key = "session.optimized_model_external_initializers_file_name"
        options.add_session_config_entry(key, f"{Path(target).name}.data")
    chain = list(dict.fromkeys([PROVIDERS[provider], PROVIDERS["cpu"]]))
    onnxruntime.InferenceSession(source, options, providers=chain)


def onnxruntime_transformers(
    source: str, target: str, family: str, heads: str, width: str, provider: str
) -> None:
    """onnxruntime's optimizer of transformers, at the level it chooses for the type of model.

    Args:
        source: The model.
        target: Where to write.
        family: Its type of model; empty when none fits, which is an error.
        heads: Number of attention heads; 0 for it to find out.
        width: Hidden size; 0 likewise.
        provider: ``cpu`` or ``cuda``.
    """
    if not family:
        sys.exit("onnxruntime.transformers has no model type for this architecture")
    from onnxruntime.transformers import optimizer

    prepare(provider)
    model = optimizer.optimize_model(
        source,
        model_type=family,
        num_heads=int(heads),
        hidden_size=int(width),
        use_gpu=provider != "cpu",
    )
    beside = Path(source + ".data").exists()
    model.save_model_to_file(target, use_external_data_format=beside)


PEERS: dict[str, Callable[..., None]] = {
    "onnxsim": onnxsim,
    "onnxslim": onnxslim,
    "onnxoptimizer": onnxoptimizer,
    "onnxscript": onnxscript,
    "onnxruntime basic": onnxruntime_basic,
    "onnxruntime extended": onnxruntime_extended,
    "onnxruntime transformers": onnxruntime_transformers,
}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
