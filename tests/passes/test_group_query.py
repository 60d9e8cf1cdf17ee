"""``GroupQueryAttention`` against the formula at many lengths: each golden case that becomes one, run before and after."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnxopt.runtime.evaluate import run_small
from tests.golden.harness import HERE, Case, build_model, optimise, read_cases

CASES = [
    case
    for case in read_cases(HERE / "attention" / "fuse-group-query-attention.txt")
    if case.after is not None
]
BATCHES, NEW, PAST = (1, 3), (1, 2, 9), (0, 1, 6, 17)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_all_lengths(case: Case) -> None:
    before = build_model(case)
    after, _ = optimise(case, before)
    assert any(n.op_type == "GroupQueryAttention" for n in after.graph.node)
    free = {
        d.dim_param for i in before.graph.input for d in i.type.tensor_type.shape.dim if d.dim_param
    }
    sizes = [
        {"B": batch, "S": new, "P": past}
        for batch in (BATCHES if "B" in free else BATCHES[:1])
        for new in (NEW if "S" in free else NEW[:1])
        for past in (PAST if "P" in free else PAST[:1])
    ]
    for seed, size in enumerate(sizes):
        feeds = drawn(before, size, seed)
        for want, got in zip(run_small(before, feeds), run_small(after, feeds), strict=True):
            assert want.shape == got.shape, size
            loose = 2e-3 if want.dtype == np.float16 else 1e-5
            np.testing.assert_allclose(got, want, rtol=loose, atol=loose, err_msg=str(size))


def drawn(model: onnx.ModelProto, sizes: dict[str, int], seed: int) -> dict[str, np.ndarray]:
    """Signed numbers, and positions, for the model's inputs."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for info in model.graph.input:
        tensor = info.type.tensor_type
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        array = rng.normal(size=shape) if dtype.kind == "f" else rng.integers(0, 20, shape)
        feeds[info.name] = np.asarray(array).astype(dtype)
    return feeds
