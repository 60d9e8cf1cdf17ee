"""Static quantisation: what stands around what, what the runtime makes of it, and what is declined."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxopt.errors import UsageError
from onnxopt.io import from_proto
from onnxopt.io.identity import identity
from onnxopt.quantization.wants import Wants

from ..support import op_types, parse
from .support import Observer, checked, kernels, quantise, run, snr

rng = np.random.default_rng(11)


def head(opset: int = 17) -> str:
    return f'<ir_version: 8, opset_import: ["" : {opset}]>\n'


def conv(out: int, into: int, size: int = 3) -> np.ndarray:
    numbers = rng.normal(size=(out, into, size, size)) / size / np.sqrt(into)
    return np.asarray(numbers, np.float32)


def images(count: int = 4, channels: int = 3, size: int = 16) -> list[dict[str, np.ndarray]]:
    shape = (1, channels, size, size)
    return [{"x": rng.normal(size=shape).astype(np.float32)} for _ in range(count)]


def network(body: str, opset: int = 17, **weights: np.ndarray) -> onnx.ModelProto:
    return parse(
        f"{head(opset)}g (float[1,3,16,16] x) => (float[n,c,h,v] y) {{ {body} }}", **weights
    )


RESIDUAL = """
    a = Conv<pads=[1,1,1,1]>(x, w1, b1)
    r = Relu(a)
    c = Conv<pads=[1,1,1,1]>(r, w2)
    s = Add(c, r)
    t = Relu(s)
    y = Conv(t, w3)
"""


def residual(opset: int = 17) -> onnx.ModelProto:
    weights = {"w1": conv(8, 3), "w2": conv(8, 8), "w3": conv(4, 8, 1)}
    return network(RESIDUAL, opset, **weights, b1=rng.normal(size=8).astype(np.float32))


def test_a_residual_network_is_computed_in_integers(tmp_path: Path) -> None:
    model, feeds = residual(), images()
    result = checked(quantise(model, feeds))
    found = kernels(result, tmp_path)
    assert (found["QLinearConv"], found["QLinearAdd"]) == (3, 1)
    assert not {"Conv", "Add", "Relu"} & set(found)
    for feed in feeds:
        assert snr(run(model, feed)[0], run(result, feed)[0]) > 28


@pytest.mark.parametrize("options", ["activations=s8", "activations=s8,symmetric=true"])
def test_signed_activations_fuse_at_residuals_and_rectifiers_too(
    options: str, tmp_path: Path
) -> None:
    found = kernels(checked(quantise(residual(), images(), options)), tmp_path)
    assert (found["QLinearConv"], found["QLinearAdd"]) == (3, 1)
    assert not {"Conv", "Add", "Relu"} & set(found)


def test_each_value_is_quantised_once_and_read_from_there() -> None:
    result = checked(quantise(residual(), images()))
    pairs = [n for n in result.graph.node if n.op_type == "QuantizeLinear"]
    assert len({n.input[0] for n in pairs}) == len(pairs) == 5
    assert op_types(result.graph)["DequantizeLinear"] == 5 + 4  # and three weights and a bias


def test_names_and_metadata_survive() -> None:
    result = checked(quantise(residual(), images()))
    assert [v.name for v in result.graph.output] == ["y"]
    placed = [n for n in result.graph.node if n.op_type == "QuantizeLinear"]
    assert all(any(p.key == "onnxopt.rule" for p in n.metadata_props) for n in placed)


def test_weights_are_stored_in_bytes_and_the_bias_in_steps_of_both_scales() -> None:
    model = network("y = Conv(x, w, b)", w=conv(4, 3), b=rng.normal(size=4).astype(np.float32))
    result = checked(quantise(model, images(), "bits=8"))
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in result.graph.initializer}
    weight = next(a for a in stored.values() if a.shape == (4, 3, 3, 3))
    bias = next(a for n, a in stored.items() if a.dtype == np.int32)
    assert weight.dtype == np.int8
    assert np.abs(weight.reshape(4, -1)).max(axis=1).tolist() == [127] * 4
    assert bias.shape == (4,)


def test_seven_bits_of_weights() -> None:
    result = checked(quantise(network("y = Conv(x, w)", w=conv(4, 3)), images(), "bits=7"))
    stored = [onnx.numpy_helper.to_array(i) for i in result.graph.initializer]
    assert max(np.abs(a.astype(int)).max() for a in stored if a.shape == (4, 3, 3, 3)) == 63


def test_one_scale_for_a_tensor_of_weights() -> None:
    result = checked(
        quantise(network("y = Conv(x, w)", w=conv(4, 3)), images(), "granularity=tensor")
    )
    weight = next(
        n for n in result.graph.node if n.op_type == "DequantizeLinear" and "weight" in n.input[0]
    )
    assert not weight.attribute


def test_a_clip_is_absorbed_where_nothing_beyond_it_can_be_stored(tmp_path: Path) -> None:
    model = network(
        "a = Conv(x, w1) r = Clip(a, zero, six) y = Conv(r, w2)",
        w1=20 * conv(8, 3),
        w2=conv(4, 8),
        zero=np.asarray(0, np.float32),
        six=np.asarray(6, np.float32),
    )
    found = kernels(checked(quantise(model, images())), tmp_path)
    assert found["QLinearConv"] == 2
    assert "Clip" not in found


def test_what_moves_values_keeps_their_scale(tmp_path: Path) -> None:
    model = network(
        "a = Conv(x, w1) p = MaxPool<kernel_shape=[2,2],strides=[2,2]>(a) y = Conv(p, w2)",
        w1=conv(8, 3),
        w2=conv(4, 8),
    )
    result = checked(quantise(model, images()))
    placed = [n for n in result.graph.node if n.op_type == "QuantizeLinear"]
    of = {n.input[0]: n.input[1] for n in placed}
    assert of["a"] == of["p"]
    found = kernels(result, tmp_path)
    assert found["QLinearConv"] == 2
    assert found["DequantizeLinear"] == 1


def test_what_follows_the_last_layer_stays_in_float() -> None:
    result = checked(quantise(network("a = Conv(x, w) y = Sigmoid(a)", w=conv(4, 3)), images()))
    sigmoid = next(n for n in result.graph.node if n.op_type == "Sigmoid")
    assert sum(n.op_type == "QuantizeLinear" for n in result.graph.node) == 2
    assert sigmoid.output[0] == "y"


def test_shared_weights_are_stored_once() -> None:
    model = network("a = Conv(x, w) b = Conv(x, w) y = Concat<axis=1>(a, b)", w=conv(4, 3))
    result = checked(quantise(model, images()))
    stored = [i for i in result.graph.initializer if tuple(i.dims) == (4, 3, 3, 3)]
    assert [i.data_type for i in stored] == [onnx.TensorProto.INT8]


def test_products_of_rank_3_keep_a_float_result(tmp_path: Path) -> None:
    text = f"{head(21)}g (float[1,5,16] x) => (float[n,c,k] y) {{ a = MatMul(x, w) y = Add(a, b) }}"
    weights = {"w": rng.normal(size=(16, 8)), "b": rng.normal(size=8)}
    model = parse(text, **{k: v.astype(np.float32) for k, v in weights.items()})
    feeds = [{"x": rng.normal(size=(1, 5, 16)).astype(np.float32)} for _ in range(4)]
    for options in ("", "activations=s8"):
        result = checked(quantise(model, feeds, options))
        assert snr(run(model, feeds[0])[0], run(result, feeds[0])[0]) > 30
        assert kernels(result, tmp_path)["QGemm"] == 1


def declined(model: onnx.ModelProto, options: str = "") -> dict[str, int]:
    stats = quantise(model, images(), options).stats
    return dict(stats.declined.get("quantize", {}))


def test_what_is_declined() -> None:
    weight = conv(4, 3)
    excluded = network("a = Conv(x, w) y = Conv(a, v)", w=weight, v=conv(4, 4))
    assert declined(excluded, 'exclude="a"') == {"Conv: left out by 'a'": 1}
    assert declined(excluded, 'include="a"') == {"Conv: not among what is included": 1}
    computed = network("v = Neg(w) a = Relu(x) y = Conv(a, v)", w=weight)
    assert declined(computed) == {"Conv: its weights are not constant": 1}


def test_patterns_and_operators_can_be_left_out() -> None:
    model = network("a = Conv(x, w) y = Conv(a, v)", w=conv(4, 3), v=conv(4, 4))
    assert quantise(model, images(), 'exclude="Conv"').lossy is False
    assert "QuantizeLinear" in op_types(checked(quantise(model, images(), 'exclude="y*"')).graph)


def test_what_a_user_cannot_ask_for() -> None:
    model = network("y = Conv(x, w)", w=conv(4, 3))
    cases = {
        'exclude="nothing"': "nothing to exclude is called 'nothing'",
        "granularity=block": "no granularity 'block' here; choose channel or tensor",
        "activations=u7": "no type 'u7' to quantise to",
        "bits=9": "cannot use 9 bits of s8",
        "method=best": "no method 'best'",
        'stats="none.json"': "none.json: no such file of statistics",
    }
    for options, message in cases.items():
        with pytest.raises(UsageError, match=message):
            quantise(model, images(), options)


def test_statistics_of_a_file_are_of_the_very_model(tmp_path: Path) -> None:
    weight = conv(4, 3)
    model, feeds = network("y = Conv(x, w)", w=weight), images()
    statistics = Observer(feeds)(from_proto(model), {"x": Wants(), "y": Wants()})
    path = tmp_path / "stats.json"
    statistics.fingerprint = identity(from_proto(model))
    statistics.save(path)
    from_file = quantise(model, [], f'stats="{path}"')
    assert checked(from_file) == checked(quantise(model, feeds))
    other = network("y = Conv(x, w)", w=2 * weight)
    with pytest.raises(UsageError, match="statistics of another model"):
        quantise(other, [], f'stats="{path}"')


def test_old_opsets_and_quantised_models_are_refused() -> None:
    old = network("y = Conv(x, w)", 12, w=conv(4, 3))
    with pytest.raises(UsageError, match=r"opset 12 does not have scales by channel.*--opset 13"):
        quantise(old, images())
    again = checked(quantise(residual(), images()))
    with pytest.raises(UsageError, match="the model is quantised already"):
        quantise(again, images())


def test_only_ranges_are_observed_where_they_suffice() -> None:
    import onnx_ir as ir

    from onnxopt.pipeline.manager import Manager, Settings
    from onnxopt.targets.load import load_target

    model, observer = residual(), Observer(images())
    settings = Settings(target=load_target("ort-cpu"), observe=observer)
    Manager(settings).run(lambda: ir.from_proto(model), "quantize")
    [asked] = observer.asked
    assert sorted(asked) == ["c", "r", "t", "x", "y"]
    assert not any(wants.histogram for wants in asked.values())
    Manager(settings).run(lambda: ir.from_proto(model), "quantize{method=mse}")
    assert all(wants.histogram for wants in observer.asked[1].values())


def test_what_a_wide_layer_reads_and_makes_has_16_bits() -> None:
    model, feeds = residual(21), images()
    result = checked(quantise(model, feeds, 'wide="c"', "generic"))
    types = {i.name: i.data_type for i in result.graph.initializer}
    kinds = {
        n.input[0]: types[n.input[2]] for n in result.graph.node if n.op_type == "QuantizeLinear"
    }
    assert kinds == {
        name: onnx.TensorProto.UINT16 if name in ("r", "c") else onnx.TensorProto.UINT8
        for name in kinds
    }
    assert {"r", "c", "x"} <= set(kinds)
    narrow = checked(quantise(model, feeds, "", "generic"))
    for feed in feeds:
        want = run(model, feed)[0]
        assert snr(want, run(result, feed)[0]) > snr(want, run(narrow, feed)[0])


@pytest.mark.parametrize(
    ("options", "opset", "message"),
    [
        ('wide="nope"', 21, "nothing to give 16 bits is called 'nope'"),
        ('wide="c"', 17, "begins with opset 21"),
        ('wide="c",activations=u16', 21, "activations are u16 everywhere"),
    ],
)
def test_wide_layers_that_cannot_be(options: str, opset: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        quantise(residual(opset), images(1), options, "generic")
