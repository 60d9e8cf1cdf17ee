"""What the tests of quantisation share: calibration in this process, and how far results are apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnxopt.passes.quantize._correction import channel_means, channel_wants
from onnxopt.passes.quantize._place import Placement
from onnxopt.passes.quantize._plan import Planner
from onnxopt.passes.quantize._scales import Scheme, activation_scales
from onnxopt.passes.quantize._selection import Selection

from onnxopt.io import from_proto, to_proto
from onnxopt.pipeline.base import Context, Observe
from onnxopt.quantize.statistics import Statistics
from onnxopt.quantize.types import qtype
from onnxopt.quantize.wants import Wants
from onnxopt.runtime.evaluate import run_small
from onnxopt.targets.load import load_target

Array = np.ndarray[Any, Any]
Feeds = Mapping[str, Array]


def observer(samples: Callable[[onnx.ModelProto], Sequence[Feeds]]) -> Observe:
    """Gives statistics over samples, by running the model with what is wanted as its outputs.

    Args:
        samples: Gives the samples of a model.
    """

    def observe(model: ir.Model, wants: Mapping[str, Wants]) -> Statistics:
        proto = to_proto(model)
        given = {info.name for info in proto.graph.input}
        made = [name for name in wants if name not in given]
        del proto.graph.output[:]
        proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in made)
        statistics = Statistics("test", wants)
        for feeds in samples(proto):
            statistics.samples += 1
            seen = {**feeds, **dict(zip(made, run_small(proto, feeds), strict=True))}
            for name in wants:
                statistics.update(name, seen[name])
        return statistics

    return observe


def normal_feeds(model: onnx.ModelProto, count: int = 2) -> list[Feeds]:
    """Normally distributed inputs; 3 for dims that are not known."""
    rng = np.random.default_rng(3)
    return [
        {
            info.name: np.asarray(
                rng.normal(size=[d.dim_value or 3 for d in info.type.tensor_type.shape.dim])
            ).astype(np.float32)
            for info in model.graph.input
        }
        for _ in range(count)
    ]


def snr(wanted: Array, got: Array) -> float:
    """Signal to noise, in decibels."""
    noise = np.square(got.astype(np.float64) - wanted).sum()
    return float(10.0 * np.log10(np.square(wanted.astype(np.float64)).sum() / noise))


def quantised(
    model: onnx.ModelProto, feeds: Sequence[Feeds], **scheme: Any
) -> tuple[onnx.ModelProto, Context]:
    """Quantises a model statically by the plan for the CPU, with ranges from its feeds."""
    options: dict[str, Any] = {
        "activations": qtype("u8"),
        "weights": qtype("s8"),
        "by_channel": True,
        "symmetric": False,
        **scheme,
    }
    chosen = Scheme(**options)
    table = load_target("ort-cpu").quantize
    assert table is not None
    context = Context(from_proto(model))
    planner = Planner(context.facts, table, Selection())
    plan = planner.plan(context.model.graph)
    wants = {v.name or "": Wants() for v in plan.roots}
    if chosen.correct_bias:
        for name, want in channel_wants(plan).items():
            wants[name] = wants.get(name, Wants()) | want
    found = observer(lambda _: feeds)(context.model, wants)

    def range_of(value: ir.Value) -> tuple[float, float]:
        seen = found.tensors[value.name or ""]
        return seen.low, seen.high

    scales = activation_scales(context.facts, plan, chosen, range_of)
    means = channel_means(plan, found) if chosen.correct_bias else None
    graph = context.model.graph
    Placement(context, graph, planner, plan, scales, chosen, means).run()
    result = to_proto(context.model)
    onnx.checker.check_model(result, full_check=True)
    return result, context
