"""Facts of random shape arithmetic against onnxruntime: whatever runs must agree with every fact."""

from __future__ import annotations

from random import Random

import numpy as np
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onnxopt.analysis.facts import Facts

from .harness import Check, feeds_of, named
from .programs import random_program

RUNS = [{"b": 2, "s": 3, "t": 4}, {"b": 1, "s": 1, "t": 1}, {"b": 3, "s": 9, "t": 2}]
RUNS += [{"b": 2, "s": 0, "t": 3}, {"b": 0, "s": 4, "t": 5}]


def _check(model: ir.Model, facts: Facts, check: Check) -> int:
    """Compares all values of the runs that succeed; gives their number."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    proto = ir.to_proto(model).SerializeToString()
    try:
        session = ort.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
    except Exception:
        return 0
    values = named(model)
    names = [output.name for output in session.get_outputs()]
    done = 0
    for sizes in RUNS:
        try:
            found = session.run(names, feeds_of(facts, model, sizes, 0))
        except Exception:
            continue
        results = dict(zip(names, found, strict=True))
        if _reshapes_to_zero(model, results):
            continue
        done += 1
        for name, array in results.items():
            check.compare(facts, values[name], array, sizes)
    return done


def _reshapes_to_zero(model: ir.Model, results: dict[str, np.ndarray]) -> bool:
    """Whether a computed target of a ``Reshape`` is zero: facts take it not to be."""
    targets = [node.inputs[1] for node in model.graph if node.op_type == "Reshape"]
    arrays = [results.get(target.name or "") for target in targets if target is not None]
    return any(array is not None and 0 in array for array in arrays)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.randoms(use_true_random=False), st.integers(1, 20))
def test_random_programs(random: Random, steps: int) -> None:
    model = ir.from_proto(random_program(random, steps))
    check = Check()
    _check(model, Facts(model), check)
    assert not check.faults, "\n".join(check.faults)


def test_most_random_programs_run_and_are_known() -> None:
    check = Check()
    done = 0
    for seed in range(60):
        model = ir.from_proto(random_program(Random(seed), 12))
        done += _check(model, Facts(model), check)
    assert done > 120
    assert check.checked > 20 * check.unknown
