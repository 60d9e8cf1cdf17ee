"""Quantising from end to end, on models of a few nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import onnx.parser
import onnxruntime
import pytest

from onnxopt import api
from onnxopt.compiler.result import Result
from onnxopt.errors import UsageError
from onnxopt.quantizing import straight
from onnxopt.quantizing.calibrating import Calibration

PRODUCTS = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 64] x) => (float[N, 32] y) { a = MatMul(x, w) b = Relu(a) y = MatMul(b, v) }"""
CONVOLUTIONS = """<ir_version: 8, opset_import: ["": 17]>
g (float[N, 3, 8, 8] x) => (float[N, 4, 4, 4] y) { a = Conv(x, w) b = Relu(a) y = Conv(b, v) }"""


def write(folder: Path, text: str, **weights: tuple[int, ...]) -> Path:
    rng = np.random.default_rng(7)
    model = onnx.parser.parse_model(text)
    for name, shape in weights.items():
        array = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    onnx.save(model, folder / "model.onnx")
    return folder / "model.onnx"


@pytest.fixture
def products(tmp_path: Path) -> Path:
    return write(tmp_path, PRODUCTS, w=(64, 128), v=(128, 32))


@pytest.fixture
def samples(tmp_path: Path) -> str:
    rng = np.random.default_rng(8)
    x = rng.standard_normal((40, 2, 6)) @ rng.standard_normal((6, 64))
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32))
    return f"{tmp_path}/x.npz"


def opset(path: Path) -> int:
    return int(onnx.load(path).opset_import[0].version)


def snr(model: Path, other: Path, source: str) -> float:
    sessions = [onnxruntime.InferenceSession(str(path)) for path in (model, other)]
    signal = noise = 0.0
    for x in np.load(source)["x"]:
        one, two = (s.run(None, {"x": x})[0].astype(np.float64) for s in sessions)
        signal, noise = signal + float((one**2).sum()), noise + float(((one - two) ** 2).sum())
    return 10 * float(np.log10(signal / noise))


def weights_only(model: Path, output: Path, **options: Any) -> Result:
    return api.quantize(model, output, mode="weight-only", **options)


def test_a_model_without_products(tmp_path: Path) -> None:
    path = write(tmp_path, CONVOLUTIONS, w=(4, 3, 3, 3), v=(4, 4, 3, 3))
    for validate in (True, False):
        with pytest.raises(UsageError, match=r"nothing to quantise: it has no MatMul or Gemm"):
            weights_only(path, tmp_path / "out.onnx", validate=validate)
    assert not (tmp_path / "out.onnx").exists()


def test_auto_refuses_what_no_mode_of_the_target_can_do(products: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no kernel multiplies s4 weights"):
        api.quantize(products, tmp_path / "out.onnx", weights="s4", target="ort-cpu")


@pytest.mark.parametrize("validate", [True, False])
def test_weights_alone_need_no_data(products: Path, tmp_path: Path, validate: bool) -> None:
    found = weights_only(products, tmp_path / "out.onnx", validate=validate)
    assert found.quantisation is not None
    trial = found.quantisation.chosen
    assert (trial.mode, trial.layers, trial.quality) == ("weight-only", 2, None)
    assert (found.quantisation.fusion is None) == (not validate)
    types = [i.data_type for i in onnx.load(tmp_path / "out.onnx").graph.initializer]
    assert types.count(onnx.TensorProto.INT8) == 2
    if validate:
        assert found.quantisation.fusion is not None
        assert [f.status for f in found.quantisation.fusion.findings] == ["integer", "integer"]


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, 21), ({"granularity": "channel"}, 17), ({"granularity": "channel", "weights": "s4"}, 21)],
)
def test_the_opset_is_raised_only_where_needed(
    products: Path, tmp_path: Path, options: dict[str, Any], version: int
) -> None:
    found = weights_only(products, tmp_path / "out.onnx", validate=False, **options)
    assert opset(tmp_path / "out.onnx") == version
    assert found.quantisation is not None
    assert any("opset was raised" in note for note in found.quantisation.notes) == (version > 17)


def test_large_models_are_run_only_where_that_is_required(
    products: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(straight, "LARGE", 1000)
    found = weights_only(products, tmp_path / "out.onnx")
    assert found.validation is not None
    assert found.validation.status == "not-validated"
    assert "--require-validation" in found.validation.reason
    found = weights_only(products, tmp_path / "out.onnx", require_validation=True)
    assert found.validation is not None
    assert found.validation.status == "passed"


def test_rounding_by_data_is_closer(products: Path, samples: str, tmp_path: Path) -> None:
    shared = {"weights": "s4", "granularity": "block:32", "calibrate": samples, "max_drop": "snr=1"}
    figures = {}
    for method in ("rtn", "hmse", "gptq"):
        path = tmp_path / f"{method}.onnx"
        weights_only(products, path, method=method, **shared)
        figures[method] = snr(products, path, samples)
    weights_only(products, tmp_path / "default.onnx", **shared)
    assert figures["rtn"] < figures["hmse"] < figures["gptq"]
    assert figures["gptq"] > figures["rtn"] + 3
    assert snr(products, tmp_path / "default.onnx", samples) == figures["gptq"]


def test_methods_are_tried_on_statistics_gathered_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, CONVOLUTIONS, w=(4, 3, 3, 3), v=(4, 4, 3, 3))
    x = np.random.default_rng(9).standard_normal((12, 1, 3, 8, 8)).astype(np.float32)
    x[0, 0, 0, 0, 0] = 60.0
    np.savez(tmp_path / "x.npz", x=x)
    gathered: list[int] = []
    gather = Calibration._gather

    def counted(self: Calibration, *args: Any) -> Any:
        gathered.append(1)
        return gather(self, *args)

    monkeypatch.setattr(Calibration, "_gather", counted)
    options: dict[str, Any] = {
        "mode": "static",
        "calibrate": f"{tmp_path}/x.npz",
        "validate": False,
    }
    found = api.quantize(path, tmp_path / "out.onnx", target="ort-cpu", **options)
    assert found.quantisation is not None
    trial = found.quantisation.chosen
    assert {"minmax", "mse", "percentile:99.99"} <= set(trial.methods)
    assert sum("bias-correct" in name for name in trial.methods) in (1, 2)
    assert trial.quality is not None
    assert trial.quality.overall is not None
    assert trial.quality.overall.snr_db == pytest.approx(max(trial.methods.values()), abs=0.01)
    assert trial.methods["mse"] > trial.methods["minmax"]
    assert len(gathered) == 1
    named = api.quantize(path, tmp_path / "out.onnx", target="ort-cpu", method="minmax", **options)
    assert named.quantisation is not None
    assert named.quantisation.chosen.methods == {}


@pytest.mark.parametrize(
    "options",
    [{"symmetric": True}, {"activations": "s8"}, {"activations": "u16"}, {"weights": "u8"}],
)
def test_types_of_static_quantisation(tmp_path: Path, options: dict[str, Any]) -> None:
    path = write(tmp_path, CONVOLUTIONS, w=(4, 3, 3, 3), v=(4, 4, 3, 3))
    x = np.random.default_rng(9).standard_normal((8, 1, 3, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    found = api.quantize(
        path,
        tmp_path / "out.onnx",
        mode="static",
        calibrate=f"{tmp_path}/x.npz",
        target="ort-cpu",
        validate=False,
        **options,
    )
    assert found.quantisation is not None
    assert found.quantisation.chosen.holds
    assert snr(path, tmp_path / "out.onnx", f"{tmp_path}/x.npz") > 25
