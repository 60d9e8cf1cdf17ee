"""Does onnxruntime compute from an exported file what torch computes from the network?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

import models

OTHER_DIMS = {"batch": 3, "sequence": 5, "past": 2, "height": 40, "width": 48}


def assert_agrees(
    built: models.Built, path: Path, inputs: Mapping[str, npt.NDArray[np.generic]]
) -> None:
    import torch

    with torch.no_grad():
        expected = built.module(*(torch.from_numpy(a) for a in inputs.values()))
    if not isinstance(expected, tuple):
        expected = (expected,)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [i.name for i in session.get_inputs()] == list(built.input_names)
    assert [o.name for o in session.get_outputs()] == list(built.output_names)
    got = session.run(None, dict(inputs))
    for one, two in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-4, atol=2e-5)
