"""Converting to a shorter type, end to end: validation, repair, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.parser
import pytest

import onnxopt

ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(11)


def save(path: Path, body: str, **weights: np.ndarray) -> Path:
    text = f'<ir_version: 8, opset_import: ["" : 17]>\ng (float[N,32] x) => (float[N,32] y) {{ {body} }}'
    model = onnx.parser.parse_model(text)
    for name, array in weights.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    for node in model.graph.node:
        node.name = f"make_{node.output[0]}"
    onnx.save(model, path)
    return path


def square(scale: float) -> np.ndarray:
    return (rng.normal(size=(32, 32)) * scale).astype(np.float32)


@pytest.fixture
def hot(tmp_path: Path) -> Path:
    """A model one of whose layers goes beyond the range of float16."""
    body = "a = MatMul(x, u) hot = MatMul(a, v) cold = Mul(hot, k) b = Relu(cold) y = MatMul(b, u)"
    return save(
        tmp_path / "hot.onnx", body, u=square(0.2), v=square(30000), k=np.array(3e-5, np.float32)
    )


def test_shipped_model_is_converted_and_validated(tmp_path: Path) -> None:
    result = onnxopt.convert(ROOT / "models" / "digits_cnn.onnx", tmp_path / "out.onnx")
    assert result.validation is not None
    assert result.validation.passed
    assert result.after.bytes < 0.6 * result.before.bytes
    assert result.after.ops["Cast"] == 2
    assert not result.kept


def test_layer_that_overflows_is_found_and_kept(hot: Path, tmp_path: Path) -> None:
    result = onnxopt.convert(hot, tmp_path / "out.onnx")
    assert result.validation is not None
    assert result.validation.passed
    assert set(result.kept) == {"make_hot", "make_cold"}
    assert "its result reaches" in result.kept["make_hot"]
    assert 'keep="make_hot;make_cold"' in result.pipeline
    kept = {t.name: t.data_type for t in onnx.load(tmp_path / "out.onnx").graph.initializer}
    assert (kept["u"], kept["v"]) == (onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT)
    assert result.to_json()["kept"] == result.kept


def test_differences_of_large_numbers_are_found(tmp_path: Path) -> None:
    body = "a = MatMul(x, u) c = Add(a, k) d = Sub(c, k) y = MatMul(d, v)"
    source = save(
        tmp_path / "in.onnx",
        body,
        u=square(0.2),
        v=square(0.2),
        k=np.full(32, 5000, np.float32),
    )
    result = onnxopt.convert(source, tmp_path / "out.onnx")
    assert result.validation is not None
    assert result.validation.passed
    assert {"make_c", "make_d"} <= set(result.kept)
    assert result.after.ops["Cast"] > 0


def test_what_cannot_be_repaired_is_not_written(hot: Path, tmp_path: Path) -> None:
    with pytest.raises(
        onnxopt.MismatchError, match=r"converted model does not match.*--keep"
    ) as info:
        onnxopt.convert(hot, tmp_path / "out.onnx", rtol=1e-9)
    assert info.value.result is not None
    assert not (tmp_path / "out.onnx").exists()


def test_kept_nodes_and_types_of_inputs_are_honoured(hot: Path, tmp_path: Path) -> None:
    result = onnxopt.convert(
        hot, tmp_path / "out.onnx", keep=["make_hot", "Mul"], io_types="converted"
    )
    assert result.validation is not None
    assert result.validation.passed
    assert not result.kept
    out = onnx.load(tmp_path / "out.onnx")
    assert out.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert out.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16


def test_bfloat16_is_validated_by_emulation(tmp_path: Path) -> None:
    source = save(tmp_path / "in.onnx", "a = MatMul(x, u) y = Softmax(a)", u=square(0.2))
    result = onnxopt.convert(source, tmp_path / "out.onnx", to="bfloat16")
    assert result.validation is not None
    assert result.validation.passed
    assert any("rounded to bfloat16" in note for note in result.validation.notes)
    [weight] = onnx.load(tmp_path / "out.onnx").graph.initializer
    assert weight.data_type == onnx.TensorProto.BFLOAT16


def test_converted_models_compare_at_the_tolerance_of_their_type(hot: Path, tmp_path: Path) -> None:
    onnxopt.convert(hot, tmp_path / "out.onnx")
    assert onnxopt.compare(hot, tmp_path / "out.onnx").passed
    assert not onnxopt.compare(hot, tmp_path / "out.onnx", rtol=1e-6).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"to": "int8"}, "choose float16 or bfloat16"),
        ({"keep": ["nowhere"]}, "nothing to keep is called 'nowhere'"),
        ({"keep": "Relu"}, "takes a list"),
        ({"keep": ['a"b']}, "a quote"),
        ({"io_types": ["nothing"]}, "no input or output called 'nothing'"),
    ],
)
def test_wrong_options_are_refused(hot: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(onnxopt.UsageError, match=message):
        onnxopt.convert(hot, **options)


def test_in_a_pipeline_it_is_one_rewrite(hot: Path, tmp_path: Path) -> None:
    result = onnxopt.optimize(hot, tmp_path / "out.onnx", passes="convert-precision")
    assert result.sites == ["convert-precision@g"]
    assert result.validation is not None
    assert result.validation.passed
