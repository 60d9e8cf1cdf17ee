"""The models of transformers export with each attention and compute in onnxruntime what torch does."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import onnx
import pytest

import models

from .agreement import OTHER_DIMS, assert_agrees

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("transformers")

NAMES = models.transformers_names()
# Torch's newer exporter takes seconds for each, the older one tenths of a second.
CASES = [
    *((name, "torchscript", attention) for name in NAMES for attention in models.attentions(name)),
    *((name, "dynamo", None) for name in NAMES),
]


@pytest.mark.parametrize(("name", "exporter", "attention"), CASES)
def test_agrees_with_torch(
    name: str, exporter: models.Exporter, attention: models.Attention | None
) -> None:
    built = models.build(name, attention=attention)
    path = models.cached(name, exporter=exporter, attention=attention)
    onnx.checker.check_model(str(path))
    assert path.stat().st_size < 1_000_000
    assert_agrees(built, path, models.sample_inputs(name, seed=1))
    fixed = built.specialised if exporter == "dynamo" else ()
    dims = {k: v for k, v in OTHER_DIMS.items() if k not in fixed}
    assert_agrees(built, path, models.sample_inputs(name, seed=2, dims=dims))


@pytest.mark.parametrize("name", NAMES)
def test_static_export_has_no_free_dims(name: str) -> None:
    path = models.cached(name, dynamic=False)
    for value in onnx.load(path).graph.input:
        assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim)
    assert_agrees(models.build(name), path, models.sample_inputs(name, seed=3))


@pytest.mark.parametrize("name", ["hf-gpt2", "hf-llama"])
def test_empty_cache(name: str) -> None:
    path = models.cached(name)
    assert_agrees(models.build(name), path, models.sample_inputs(name, seed=4, dims={"past": 0}))


def test_attention_changes_the_graph_and_not_the_weights() -> None:
    one = models.build("hf-bert", attention="sdpa").module.state_dict()
    two = models.build("hf-bert", attention="eager").module.state_dict()
    assert all(torch.equal(one[key], two[key]) for key in one)
    sdpa, eager = (models.cached("hf-bert", attention=a) for a in get_args(models.Attention))
    assert sdpa == models.cached("hf-bert")
    assert len(onnx.load(sdpa).graph.node) != len(onnx.load(eager).graph.node)


@pytest.mark.parametrize(
    ("name", "attention", "opset", "why"),
    [
        (
            "hf-vit",
            "sdpa",
            13,
            "needs opset 14 for this model: torch has no translation of scaled_",
        ),
        ("hf-segformer", "eager", 10, "needs opset 11 for this model: what resized before"),
        ("hf-swin", "eager", 10, "needs opset 11 for this model: Pad takes sizes"),
    ],
)
def test_what_torch_cannot_write_is_refused(
    name: str, attention: models.Attention, opset: int, why: str, tmp_path: Path
) -> None:
    assert any(limit.opset == opset + 1 for limit in models.limits(name))
    with pytest.raises(ValueError, match=why):
        models.export(name, tmp_path / "x", attention=attention, opset=opset)
    assert not list(tmp_path.iterdir())


def test_eager_attention_exports_to_old_opsets(tmp_path: Path) -> None:
    path = models.export("hf-vit", tmp_path / "vit.onnx", attention="eager", opset=11)
    assert onnx.load(path).opset_import[0].version == 11
    assert_agrees(models.build("hf-vit"), path, models.sample_inputs("hf-vit", seed=5))


def test_missing_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "models.hf.common", raising=False)
    monkeypatch.delitem(sys.modules, "models.hf.bert", raising=False)
    with pytest.raises(ImportError, match="building hf-bert needs transformers: pip install"):
        models.build("hf-bert")
