"""Every rule's golden cases: structure, checker, numbers on signed inputs, reasons to decline."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
from pathlib import Path

import numpy as np
import onnx
import onnx.reference
import pytest

from onnxopt.pipeline.parse import Call
from onnxopt.pipeline.registry import registry

from . import harness

FILES = sorted(harness.HERE.glob("*/*.txt"))
CASES = [case for path in FILES for case in harness.read_cases(path)]
UPDATE = os.environ.get("ONNXOPT_GOLDEN_UPDATE") == "1"


@pytest.mark.parametrize("case", CASES, ids=str)
def test_case(case: harness.Case) -> None:
    before = harness.build_model(case)
    after, context = harness.optimise(case, before)
    onnx.checker.check_model(after)
    _same_interface(before, after)
    lines = harness.listing(after, before)
    if case.after is not None:
        if UPDATE:
            harness.update(case, lines)
        else:
            assert [line.strip() for line in lines] == case.after
        assert context.gate.log, "nothing was rewritten"
    else:
        unrewritten = harness.listing(before, before)
        assert lines == unrewritten
    for reason in case.declines:
        given = [r for reasons in context.stats.declined.values() for r in reasons]
        assert any(reason in r for r in given), given
    if case.skip_run is None and case.after is not None:
        _same_numbers(case, before, after)


def _same_interface(before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    initial = {i.name for i in before.graph.initializer}
    wanted = [i for i in before.graph.input if before.ir_version >= 4 or i.name not in initial]
    assert list(after.graph.input) == wanted
    assert list(after.graph.output) == list(before.graph.output)


def _same_numbers(case: harness.Case, before: onnx.ModelProto, after: onnx.ModelProto) -> None:
    exact = _is_exact(case)
    rounds = [_feeds(case, before, seed) for seed in range(3)]
    if exact:
        rounds.append(_with_special_values(rounds[0]))
    for feeds in rounds:
        expected, on_runtime = _run(before, feeds)
        actual, also = _run(after, feeds)
        assert also or not on_runtime, "the runtime runs the model, and not what became of it"
        for info, want, got in zip(before.graph.output, expected, actual, strict=True):
            assert got.dtype == want.dtype, info.name
            assert got.shape == want.shape, info.name
            if exact:
                np.testing.assert_array_equal(_bits(got), _bits(want), err_msg=info.name)
            elif want.dtype.kind in "fc":
                scale = float(np.max(np.abs(want[np.isfinite(want)]), initial=1.0))
                loose = 2e-3 if want.dtype == np.float16 else 2e-5
                np.testing.assert_allclose(
                    got, want, rtol=loose, atol=loose * scale, equal_nan=True, err_msg=info.name
                )
            else:
                np.testing.assert_array_equal(got, want, err_msg=info.name)


def _is_exact(case: harness.Case) -> bool:
    """Whether all that ran says that it keeps results bit-identical."""
    steps = registry().expand(case.pipeline)
    return all(isinstance(step, Call) and registry().make(step).exact for step in steps)


def _with_special_values(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Scatters zeros of both signs, infinities and NaN over the floating-point inputs."""
    rng = np.random.default_rng(0)
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan])
    made = dict(feeds)
    for name, array in feeds.items():
        if array.dtype.kind == "f":
            chosen = rng.choice(special, array.shape).astype(array.dtype)
            made[name] = np.where(rng.random(array.shape) < 0.5, chosen, array)
    return made


def _bits(array: np.ndarray) -> np.ndarray:
    """The bits of floats, with one NaN for all; other types as they are."""
    if array.dtype.kind != "f":
        return array
    return np.where(np.isnan(array), np.nan, array).astype(array.dtype).view(f"u{array.itemsize}")


def _feeds(case: harness.Case, model: onnx.ModelProto, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    sizes: dict[str, int] = {}
    feeds = {}
    for info in model.graph.input:
        tensor_type = info.type.tensor_type
        shape = [
            d.dim_value
            if d.HasField("dim_value")
            else sizes.setdefault(d.dim_param, (3, 1, 5)[seed])
            for d in tensor_type.shape.dim
        ]
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor_type.elem_type))
        if dtype.kind == "f":
            feeds[info.name] = np.asarray(rng.normal(size=shape) * 10.0 ** (seed - 1)).astype(dtype)
        elif dtype.kind == "b":
            feeds[info.name] = np.asarray(rng.integers(0, 2, shape)).astype(bool)
        else:
            low, high = case.feeds.get(info.name, (0 if dtype.kind == "u" else -4, 5))
            feeds[info.name] = np.asarray(rng.integers(low, high, shape)).astype(dtype)
    return feeds


def _run(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> tuple[list[np.ndarray], bool]:
    """Returns the outputs, and whether the runtime gave them or the reference evaluator."""
    from onnxopt.runtime.evaluate import EvaluationError, run_small

    try:
        return list(run_small(model, feeds)), True
    except EvaluationError:
        return list(onnx.reference.ReferenceEvaluator(model).run(None, feeds)), False


@pytest.mark.parametrize("name", sorted(registry().rules))
def test_every_rule_has_cases(name: str) -> None:
    mine = [c for c in CASES if name in {p.strip().split("{")[0] for p in c.pipeline.split(",")}]
    assert any(c.after is not None for c in mine), f"{name} has no case in which it fires"
    declined = [reason for c in mine for reason in c.declines]
    for reason in _reasons(name):
        assert any(_covers(d, reason) for d in declined), f"no case declines with: {reason}"


def _covers(declined: str, reason: str) -> bool:
    return declined in reason or reason in declined


def _reasons(name: str) -> list[str]:
    """Reads the reasons a rule's own function can give, as literal text, out of its source."""
    rule = registry().rules[name]
    module = importlib.import_module(rule.module)
    tree = ast.parse(Path(inspect.getfile(module)).read_text())
    function = next(
        n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == rule.function.__name__
    )
    reasons = []
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Skip" and call.args:
            reasons.append(_literal(call.args[0]))
    return [r for r in reasons if r]


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        parts = [str(v.value) for v in node.values if isinstance(v, ast.Constant)]
        return max(parts, key=len, default="")
    return ""


@pytest.mark.parametrize("name", sorted(registry().rules))
def test_every_rule_explains_itself(name: str) -> None:
    doc = registry().rules[name].doc
    assert doc.partition("\n")[0].endswith("."), f"{name}: the first line is no sentence"
    assert "Example:" in doc, f"{name}: no example"
