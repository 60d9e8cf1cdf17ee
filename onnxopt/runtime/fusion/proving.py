"""Proving that what is meant to compute in integers does.

The runtime loads the model as users load it and saves the graph that it would run. In that graph each node of the model that
was meant to compute in integers is looked up.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from onnxopt.runtime.child import python, run_child
from onnxopt.runtime.fusion.job import SAVED, FusionJob
from onnxopt.runtime.fusion.report import Finding, FusionReport

if TYPE_CHECKING:
    import onnx_ir as ir

    from onnxopt.runtime.fusion.saved import Saved

_WORKER = python("onnxopt.runtime.fusion.worker")


def prove(
    model: Path,
    wanted: Mapping[str, str] | None = None,
    *,
    provider: str = "CPUExecutionProvider",
    timeout_s: float = 600.0,
    custom_op_libraries: Sequence[str] = (),
) -> FusionReport:
    """Tell what the runtime made of each node that was meant to compute in integers.

    Args:
        model: a quantised model's file.
        wanted: operators by the names of those nodes; None for what the model itself notes, see `wanted_of`.
        provider: full provider name.
        timeout_s: seconds that loading may take.
        custom_op_libraries: paths of shared libraries.

    Returns:
        The report; a model that does not load is no error but its `failure`.

    Raises:
        ModelError: the file cannot be read, or nodes in it cannot be told apart.
    """
    from onnxopt.io import load
    from onnxopt.runtime.fusion.saved import Saved
    from onnxopt.runtime.fusion.wanted import wanted_of

    source = load(model)
    wanted = wanted_of(source) if wanted is None else wanted
    report = FusionReport(provider)
    libraries = [os.path.abspath(library) for library in custom_op_libraries]
    with tempfile.TemporaryDirectory(prefix="onnxopt-") as name:
        folder = Path(name)
        FusionJob(os.path.abspath(model), provider, libraries).write(folder)
        ended = run_child(folder, timeout_s, worker=_WORKER)
        report.failure = ended.trouble or (ended.result or {})["failure"]
        if report.failure:
            return report
        saved = Saved(load(folder / SAVED), source)
        _count(saved, report)
        report.findings = [_finding(node, saved, provider) for node in _nodes(source, wanted)]
    return report


def _nodes(source: ir.Model, wanted: Mapping[str, str]) -> list[ir.Node]:
    by_name = {node.name: node for node in source.graph.all_nodes()}
    return [by_name[name] for name in wanted if name in by_name]


def _finding(node: ir.Node, saved: Saved, provider: str) -> Finding:
    from onnxopt.runtime.fusion.kernels import CARRIERS
    from onnxopt.runtime.fusion.reasons import reason_for
    from onnxopt.runtime.fusion.wanted import INTEGER

    mode = node.metadata_props.get(INTEGER, "static")
    became = saved.find(node)
    name, op_type = node.name or "", node.op_type
    if became is not None and saved.in_integers(became):
        return Finding(name, op_type, mode, "integer", became.op_type)
    if became is None and op_type in CARRIERS:
        return Finding(name, op_type, mode, "gone", reason="the runtime needs no operator for it")
    reason = reason_for(node, became, mode, provider)
    if became is None:
        return Finding(name, op_type, mode, "gone", reason=reason)
    return Finding(name, op_type, mode, "float", became.op_type, reason)


def _count(saved: Saved, report: FusionReport) -> None:
    from onnxopt.runtime.fusion.kernels import CONVERSIONS

    report.integers = sum(saved.in_integers(node) for node in saved.nodes)
    floats = Counter(node.op_type for node in saved.nodes if saved.in_float(node))
    left = Counter(node.op_type for node in saved.nodes if node.op_type in CONVERSIONS)
    report.floats, report.conversions = dict(floats), dict(left)
