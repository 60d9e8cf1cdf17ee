"""Each reference model exports with both exporters and computes in onnxruntime what torch does."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

import models

from .agreement import OTHER_DIMS, assert_agrees

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")


@pytest.fixture(scope="module", params=models.own_names())
def built(request: pytest.FixtureRequest) -> tuple[str, models.Built]:
    name: str = request.param
    return name, models.build(name)


@pytest.mark.parametrize("exporter", models.EXPORTERS)
def test_agrees_with_torch(built: tuple[str, models.Built], exporter: models.Exporter) -> None:
    name, net = built
    path = models.cached(name, exporter=exporter)
    onnx.checker.check_model(str(path))
    assert_agrees(net, path, models.sample_inputs(name, seed=1))
    fixed = net.specialised if exporter == "dynamo" else ()
    dims = {k: v for k, v in OTHER_DIMS.items() if k not in fixed}
    assert_agrees(net, path, models.sample_inputs(name, seed=2, dims=dims))


def test_static_export_has_no_free_dims(built: tuple[str, models.Built]) -> None:
    name, net = built
    path = models.cached(name, dynamic=False)
    for value in onnx.load(path).graph.input:
        assert all(d.dim_value > 0 for d in value.type.tensor_type.shape.dim)
    assert_agrees(net, path, models.sample_inputs(name, seed=3))


@pytest.mark.parametrize("exporter", models.EXPORTERS)
def test_raw_export_keeps_more_nodes(exporter: models.Exporter) -> None:
    plain = onnx.load(models.cached("resnet", exporter=exporter))
    raw_path = models.cached("resnet", exporter=exporter, optimize=False)
    raw = onnx.load(raw_path)
    assert len(raw.graph.node) > len(plain.graph.node)
    assert "BatchNormalization" in {node.op_type for node in raw.graph.node}
    assert_agrees(models.build("resnet"), raw_path, models.sample_inputs("resnet", seed=5))


@pytest.mark.parametrize(("exporter", "opset"), [("torchscript", 11), ("dynamo", 18)])
def test_opset_can_be_chosen(exporter: models.Exporter, opset: int) -> None:
    path = models.cached("resnet", exporter=exporter, opset=opset)
    assert onnx.load(path).opset_import[0].version == opset


@pytest.mark.parametrize(("op", "why"), [("Relu", "stayed at 18"), ("Gelu", "No Op registered")])
def test_failed_conversion_is_noticed(
    op: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch only logs that it could not convert to an opset below those it writes."""
    opset = 18 if op == "Relu" else 17
    text = f'<ir_version: 8, opset_import: ["": {opset}]> g (float[2] x) => (float[2] y) {{ y = {op}(x) }}'
    written = onnx.parser.parse_model(text)
    monkeypatch.setattr(torch.onnx, "export", lambda *a, **_: onnx.save(written, a[2]))
    with pytest.raises(ValueError, match=f"could not convert this model to opset 17: .*{why}"):
        models.export("resnet", tmp_path / "x.onnx", exporter="dynamo", opset=17)
    assert not list(tmp_path.iterdir())


def test_weights_are_the_same_every_time() -> None:
    one, two = models.build("llama").module, models.build("llama").module
    other = models.build("llama", seed=1).module
    state, again = one.state_dict(), two.state_dict()
    assert all(torch.equal(state[key], again[key]) for key in state)
    assert not torch.equal(state["head.weight"], other.state_dict()["head.weight"])


def test_batch_normalization_statistics_are_not_trivial() -> None:
    modules = models.build("unet").module.modules()
    norms = [m for m in modules if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 12
    for norm in norms:
        assert norm.running_var is not None
        assert norm.running_mean is not None
        assert float(norm.running_var.std()) > 0.1
        assert float(norm.running_mean.std()) > 0.1
    assert any(float(norm.weight.min()) < 0 for norm in norms)


def test_tied_embedding_is_stored_once() -> None:
    module = models.build("gpt").module
    names = [name for name, _ in module.named_parameters()]  # lists a shared one once
    assert "tokens.weight" in names
    assert "head.weight" not in names


def test_cache_gives_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNXOPT_MODEL_CACHE", str(tmp_path))
    first = models.cached("resnet")
    stamp = first.stat().st_mtime_ns
    assert models.cached("resnet") == first
    assert first.stat().st_mtime_ns == stamp
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == [first.name]
