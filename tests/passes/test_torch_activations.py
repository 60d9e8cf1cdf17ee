"""What torch's two exporters write for activations becomes one operator."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from . import support

torch = pytest.importorskip("torch")
functional = torch.nn.functional

Activation = Callable[[Any], Any]


def _gelu_new(x: Any) -> Any:
    cubic = x + 0.044715 * torch.pow(x, 3.0)
    return 0.5 * x * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * cubic))


def _gelu_fast(x: Any) -> Any:
    return 0.5 * x * (1.0 + torch.tanh(x * 0.7978845608 * (1.0 + 0.044715 * x * x)))


def _gelu_megatron(x: Any) -> Any:
    return x * 0.5 * (1.0 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x)))


SPELLINGS: list[tuple[str, Activation]] = [
    ("HardSwish", functional.hardswish),
    ("HardSwish", lambda x: x * functional.relu6(x + 3) / 6),
    ("HardSwish", lambda x: x * (functional.relu6(x + 3) / 6)),
    ("HardSwish", lambda x: x * functional.relu6(x + 3) * (1 / 6)),
    ("HardSwish", lambda x: x * torch.clamp(x + 3, 0, 6) / 6.0),
    ("HardSwish", lambda x: x * functional.hardtanh(x + 3, 0.0, 6.0) / 6.0),
    ("HardSwish", lambda x: x * torch.clamp(x / 6 + 0.5, 0, 1)),
    ("HardSigmoid", functional.hardsigmoid),
    ("HardSigmoid", lambda x: functional.relu6(x + 3) / 6),
    ("HardSigmoid", lambda x: torch.clamp(0.2 * x + 0.5, min=0, max=1)),
    ("HardSigmoid", lambda x: torch.clamp((x + 1) / 2, 0, 1)),
    ("Gelu", functional.gelu),
    ("Gelu", lambda x: functional.gelu(x, approximate="tanh")),
    ("Gelu", lambda x: x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))),
    ("Gelu", _gelu_new),
    ("Gelu", _gelu_fast),
    ("Gelu", _gelu_megatron),
    ("Mish", functional.mish),
    ("Mish", lambda x: x * torch.tanh(functional.softplus(x))),
    ("Softplus", functional.softplus),
    ("Sigmoid", lambda x: 1 / (1 + torch.exp(-x))),
    ("LeakyRelu", lambda x: functional.leaky_relu(x, 0.1)),
    ("LeakyRelu", lambda x: torch.maximum(x, 0.1 * x)),
    ("LeakyRelu", lambda x: torch.where(x > 0, x, 0.1 * x)),
    ("LeakyRelu", lambda x: torch.where(x < 0, x * 0.1, x)),
    ("LeakyRelu", lambda x: functional.prelu(x, torch.tensor([0.25]))),
    ("ThresholdedRelu", lambda x: torch.where(x > 1.0, x, torch.zeros_like(x))),
    ("Elu", functional.elu),
    ("Elu", lambda x: torch.where(x > 0, x, torch.exp(x) - 1)),
    ("Selu", functional.selu),
    ("Softsign", lambda x: x / (1 + torch.abs(x))),
    ("Clip", functional.relu6),
    ("Clip", lambda x: torch.minimum(functional.relu(x), torch.tensor(6.0))),
]
"""The operator that each spelling should become, at an opset that has it."""

SINCE = {"HardSwish": 14, "Mish": 18, "Gelu": 20}


def _export(path: Path, exporter: str, opset: int) -> None:
    class Spellings(torch.nn.Module):  # type: ignore[misc,name-defined]
        def forward(self, *inputs: Any) -> Any:
            return tuple(f(x) for (_, f), x in zip(SPELLINGS, inputs, strict=True))

    inputs = tuple(torch.randn(2, 3, 4) for _ in SPELLINGS)
    common: dict[str, Any] = {"opset_version": opset}
    if exporter == "dynamo":
        common |= {"dynamo": True, "external_data": False, "verbose": False}
        common["dynamic_shapes"] = (tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs),)
    else:
        names = [f"x{i}" for i in range(len(inputs))]
        common |= {"dynamo": False, "input_names": names}
        common["dynamic_axes"] = {name: {0: f"N{name}"} for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Spellings().eval(), inputs, str(path), **common)


@pytest.mark.parametrize(
    ("exporter", "opset"), [("torchscript", 11), ("torchscript", 17), ("dynamo", 20)]
)
def test_spellings_become_operators(tmp_path: Path, exporter: str, opset: int) -> None:
    path = tmp_path / "activations.onnx"
    _export(path, exporter, opset)
    model = support.result(support.optimise(onnx.load(path), "O2"))
    makers = {name: node for node in model.graph.node for name in node.output}
    found = [makers[info.name].op_type for info in model.graph.output]
    for (wanted, _), made, info in zip(SPELLINGS, found, model.graph.output, strict=True):
        if SINCE.get(wanted, 0) <= opset:
            assert made == wanted, info.name
    if opset >= max(SINCE.values()):
        assert len(model.graph.node) == len(SPELLINGS)
