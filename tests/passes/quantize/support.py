"""Quantising small models in tests: an observer that runs onnxruntime in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.manager import Manager, Outcome, Settings
from onnxopt.quantization.statistics import Statistics
from onnxopt.quantization.wants import Wants
from onnxopt.runtime.cpu import weight_bits
from onnxopt.targets.load import load_target

Feed = Mapping[str, np.ndarray]
BITS = weight_bits("CPUExecutionProvider")
"""Of signed weights, with which this processor's kernels do not saturate."""


class Observer:
    """Gathers statistics of a model's values by running it with all of them as outputs."""

    def __init__(self, feeds: Sequence[Feed]) -> None:
        self._feeds = feeds
        self.asked: list[dict[str, Wants]] = []

    def __call__(self, model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
        self.asked.append(dict(wants))
        proto = to_proto(model)
        known = {v.name for v in (*proto.graph.input, *proto.graph.output)}
        for name in wants:
            if name not in known:
                proto.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        session = onnxruntime.InferenceSession(proto.SerializeToString(), _quiet())
        statistics = Statistics("test", wants)
        for feed in self._feeds:
            names = [output.name for output in session.get_outputs()]
            values = dict(zip(names, session.run(None, dict(feed)), strict=True)) | dict(feed)
            for name in wants:
                statistics.update(name, values[name])
        return statistics


def quantise(
    model: onnx.ModelProto, feeds: Sequence[Feed], options: str = "", target: str = "ort-cpu"
) -> Outcome:
    """Runs the pass ``quantize``; for ort-cpu with as many bits of weights as this processor's kernels do not saturate with."""
    if target == "ort-cpu" and not any(word in options for word in ("bits=", "weights=")):
        options = ",".join(filter(None, (options, f"bits={BITS}")))
    text = f"quantize{{{options}}}" if options else "quantize"
    settings = Settings(target=load_target(target), observe=Observer(feeds))
    outcome = Manager(settings).run(
        lambda: from_proto(model), f"{text}, prune-initializers, remove-dead-nodes"
    )
    assert not outcome.failures, outcome.failures
    return outcome


def checked(outcome: Outcome) -> onnx.ModelProto:
    """The result, once the checker takes it."""
    proto: onnx.ModelProto = to_proto(outcome.model)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def kernels(model: onnx.ModelProto, folder: Path) -> Counter[str]:
    """The operators that onnxruntime makes of a model at its default level."""
    path = folder / "fused.onnx"
    options = _quiet()
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options)
    return Counter(node.op_type for node in onnx.load(path).graph.node)


def run(model: onnx.ModelProto, feed: Feed) -> list[Any]:
    """The outputs at onnxruntime's default level."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), _quiet())
    return list(session.run(None, dict(feed)))


def snr(reference: np.ndarray, other: np.ndarray) -> float:
    """Signal over noise power, in dB."""
    noise = float(((reference - other).astype(np.float64) ** 2).sum())
    return 10 * float(np.log10((reference.astype(np.float64) ** 2).sum() / max(noise, 1e-30)))


def _quiet() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options
