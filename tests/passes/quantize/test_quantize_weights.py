"""The pass that stores weights as integers: what it refuses, what fuses, how it is written."""

from __future__ import annotations

import gc
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
from onnxopt.passes.quantize.weights import _stored

from onnxopt.errors import ModelError, UsageError
from onnxopt.io import save
from onnxopt.runtime.evaluate import run_small
from onnxopt.runtime.fusion.proving import prove
from onnxopt.runtime.validate import validate

from ..support import Array, initializers, op_types, optimise, parse, result

DEPTH, WIDTH = 256, 96
TEXT = """<ir_version: 8, opset_import: ["" : {opset}]>
g ({type}[n,256] x) => ({type}[n,96] y) {{ y = MatMul(x, w) }}"""


def weight(seed: int = 0, shape: Sequence[int] = (DEPTH, WIDTH)) -> Array:
    """Weights of a product."""
    return (np.random.default_rng(seed).standard_normal(shape) * 0.05).astype(np.float32)


def single(opset: int = 21, dtype: Any = np.float32) -> onnx.ModelProto:
    """One product."""
    name = "float" if dtype == np.float32 else "float16"
    return parse(TEXT.format(opset=opset, type=name), w=weight().astype(dtype))


def fused(model: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """What onnxruntime makes of a model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return onnx.load(folder / "optimised.onnx")


def cosine(model: onnx.ModelProto, other: onnx.ModelProto, feeds: Mapping[str, Array]) -> float:
    """Of the angle between the first outputs of two models."""
    one, two = (run_small(m, feeds)[0].astype(np.float64).ravel() for m in (model, other))
    return float(one @ two / np.linalg.norm(one) / np.linalg.norm(two))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("type=s3", r"cannot be stored as 's3'; choose one of s4, u4, s8, u8"),
        ("block=24", r"a power of two from 16 up.*not '24'"),
        ("block=8", r"a power of two from 16 up.*not '8'"),
        ("method=awq", r"no method 'awq'.*rtn, hqq, mse, gptq, hmse"),
        ("method=hqq,block=tensor", r"hqq needs scales by block or channel"),
        ("method=gptq", r"gptq needs calibration data \(--calibrate\)"),
        ("method=hmse", r"hmse needs calibration data"),
        ('include="w2"', r"nothing to include is called 'w2'"),
        ('exclude="MatMull"', r"nothing to exclude is called 'MatMull'; did you mean 'MatMul'"),
    ],
)
def test_options_that_cannot_be(options: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        optimise(single(), f"quantize-weights{{{options}}}")


def test_an_opset_that_is_too_old_is_said_once() -> None:
    model = parse(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[n,256] x) => (float[n,96] y, float[n,96] z) { y = MatMul(x, w) z = MatMul(x, v) }""",
        w=weight(),
        v=weight(1),
    )
    outcome = optimise(model, "quantize-weights")
    assert outcome.stats.notes == [
        "quantize-weights: 2 weights stay in float, since opset 17 has no DequantizeLinear for them; "
        "`--opset 21` converts the model"
    ]
    assert not outcome.lossy
    raised = optimise(model, "convert-opset{version=21}, quantize-weights")
    assert raised.stats.fired["quantize-weights"] == 2
    assert result(raised).ir_version == 10


@pytest.mark.parametrize("method", ["rtn", "hqq", "mse"])
def test_what_is_not_finite_is_found_when_it_is_written(method: str, tmp_path: Path) -> None:
    bad = weight(shape=(DEPTH, 512))
    bad[100, 50] = np.nan
    model = parse(
        """<ir_version: 8, opset_import: ["" : 21]>
        g (float[n,256] x) => (float[n,512] y) { y = MatMul(x, w) }""",
        w=bad,
    )
    outcome = optimise(model, f"quantize-weights{{method={method}}}")
    with pytest.raises(ModelError, match=r"weight 'w': holds NaN.*exclude it"):
        save(outcome.model, tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("type_", ["s4", "u4", "s8", "u8"])
@pytest.mark.parametrize("block", ["16", "32", "64", "128", "256", "channel", "tensor"])
@pytest.mark.parametrize("symmetric", ["true", "false"])
def test_each_form_fuses(type_: str, block: str, symmetric: str, tmp_path: Path) -> None:
    model = single()
    options = f"type={type_},block={block},symmetric={symmetric}"
    after = result(optimise(model, f"quantize-weights{{{options}}}"))
    assert op_types(after.graph) == {"DequantizeLinear": 1, "MatMul": 1}
    assert "w" not in initializers(after)
    made = fused(after, tmp_path)
    assert op_types(made.graph) == {"MatMulNBits": 1}
    feeds = {"x": np.random.default_rng(1).standard_normal((4, DEPTH)).astype(np.float32)}
    assert cosine(model, after, feeds) > (0.999 if type_[1] == "8" else 0.96)


def test_half_precision_has_scales_of_its_own_type(tmp_path: Path) -> None:
    after = result(optimise(single(dtype=np.float16), "quantize-weights"))
    assert {str(a.dtype) for a in initializers(after).values()} == {"int4", "float16"}
    assert op_types(fused(after, tmp_path).graph)["MatMulNBits"] == 1


@pytest.mark.parametrize("block", ["32", "channel", "tensor"])
def test_readers_of_one_weight_all_fuse(block: str, tmp_path: Path) -> None:
    model = parse(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,256] x, int64[k] i) => (float[n,256] y, float[n,256] z, float[k,256] e, float[n,256] v)
        {
          y = MatMul(x, w)
          s = Neg(x)
          z = MatMul(s, w)
          e = Gather(w, i)
          t = Transpose<perm = [1,0]>(w)
          u = MatMul(s, t)
          v = Gemm<transB = 1>(u, g, b)
        }""",
        w=weight(shape=(256, 256)),
        g=weight(2, (256, 256)),
        b=weight(3, (256,)),
    )
    after = result(optimise(model, f"quantize-weights{{type=s8,block={block}}}"))
    assert op_types(fused(after, tmp_path).graph)["MatMulNBits"] == 4
    assert initializers(after).keys() >= {"w", "b"}
    assert "g" not in initializers(after)
    feeds = {
        "x": np.random.default_rng(1).standard_normal((4, 256)).astype(np.float32),
        "i": np.array([3, 200]),
    }
    for want, got in zip(run_small(model, feeds), run_small(after, feeds), strict=True):
        assert np.abs(got - want).max() < 0.05 * np.abs(want).max()


def test_weights_of_branches_and_loops_fuse_where_they_are(tmp_path: Path) -> None:
    model = parse(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[2,256] x, bool c, int64 m) => (float[2,256] y, float[2,256] z)
        {
          y = If(c) <
            then_branch = t () => (float[2,256] p) { p = MatMul(x, w) },
            else_branch = e () => (float[2,256] q) { q = MatMul(x, v) }
          >
          z = Loop(m, c, x) <
            body = l (int64 k, bool d, float[2,256] s) => (bool o, float[2,256] r) { o = Identity(d) r = MatMul(s, w) }
          >
        }""",
        w=weight(shape=(256, 256)),
        v=weight(1, (256, 256)),
    )
    after = result(optimise(model, "quantize-weights"))
    assert not initializers(after)
    assert op_types(fused(after, tmp_path).graph)["MatMulNBits"] == 3


def test_a_weight_is_computed_once_for_its_three_tensors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = parse(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,512] x) => (float[n,512] y)
        { a = MatMul(x, w) b = MatMul(a, v) y = MatMul(b, w) }""",
        w=weight(shape=(512, 512)),
        v=weight(1, (512, 512)),
    )
    computed: list[str] = []
    plain = _stored.Job.compute

    def counted(job: _stored.Job) -> _stored.Parts:
        computed.append(job.name)
        return plain(job)

    monkeypatch.setattr(_stored.Job, "compute", counted)
    outcome = optimise(model, "quantize-weights{symmetric=false}")
    assert computed == []
    lazy = [v.const_value for v in outcome.model.graph.initializers.values()]
    assert len(lazy) == 9
    assert all(isinstance(tensor, ir.LazyTensor) for tensor in lazy)
    save(outcome.model, tmp_path / "out.onnx", external_data="always")
    assert computed == ["w", "v", "w"]
    gc.collect()
    assert sum(isinstance(o, _stored.Parts) for o in gc.get_objects()) == 1


def test_panels_of_columns_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    from onnxopt.passes.quantize.weights import _columns

    for options in ("block=32", "block=tensor", "block=channel,symmetric=false,type=u4"):
        whole = result(optimise(single(), f"quantize-weights{{{options}}}"))
        with monkeypatch.context() as patch:
            patch.setattr(_columns, "_ELEMENTS", 20 * DEPTH)
            patch.setattr(_columns, "_MAPPED", 7 * WIDTH * 4)
            parts = result(optimise(single(), f"quantize-weights{{{options}}}"))
        assert whole == parts


def chain() -> onnx.ModelProto:
    """Two products of one input, one of another."""
    return parse(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,256] x) => (float[n,96] y, float[n,96] z)
        { y = MatMul(x, w) a = MatMul(x, v) b = Relu(a) z = MatMul(b, u) }""",
        w=weight(),
        v=weight(1, (256, 256)),
        u=weight(2),
    )


def grams_of(inputs: Mapping[str, Array], asked: list[list[str]]) -> Any:
    """A service that gives the Gram matrices of known inputs."""

    def grams(_: ir.Model, names: Sequence[str]) -> dict[str, Array]:
        asked.append(list(names))
        wide = {name: inputs[name].astype(np.float64) for name in names if name in inputs}
        return {name: array.T @ array for name, array in wide.items()}

    return grams


@pytest.mark.parametrize("method", ["gptq", "gptq,act_order=false", "hmse"])
def test_rounding_by_data_changes_outputs_less(method: str) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((512, 16)) @ rng.standard_normal((16, 256))
    inputs = (inputs * np.exp(rng.standard_normal(256))).astype(np.float32)
    asked: list[list[str]] = []
    service = grams_of({"x": inputs[:448]}, asked)
    outcome = optimise(chain(), f"quantize-weights{{method={method}}}", grams=service)
    assert asked == [["x", "b"]]
    assert outcome.stats.fired["quantize-weights"] == 2
    declined = outcome.stats.declined["quantize-weights"]
    assert declined == {"calibration has not seen the product's input": 1}
    plain = result(optimise(chain(), "quantize-weights"))
    fresh = {"x": inputs[448:]}
    want = run_small(chain(), fresh)[0]
    errors = [np.linalg.norm(run_small(m, fresh)[0] - want) for m in (result(outcome), plain)]
    assert errors[0] < (0.5 if "gptq" in method else 0.95) * errors[1]


def test_validation_asks_for_similar_outputs_only_where_told(tmp_path: Path) -> None:
    model = single()
    outcome = optimise(model, "quantize-weights")
    assert outcome.lossy
    onnx.save(model, tmp_path / "before.onnx")
    save(outcome.model, tmp_path / "after.onnx")
    paths = tmp_path / "before.onnx", tmp_path / "after.onnx"
    assert validate(*paths, providers=["cpu"]).status == "failed"
    assert validate(*paths, providers=["cpu"], lossy=True).status == "passed"
    assert validate(*paths, providers=["cpu"], lossy=True, rtol=1e-3).status == "failed"


def test_validation_refuses_outputs_that_are_not_even_similar(tmp_path: Path) -> None:
    onnx.save(single(), tmp_path / "before.onnx")
    other = parse(TEXT.format(opset=21, type="float"), w=weight(9))
    onnx.save(other, tmp_path / "after.onnx")
    found = validate(
        tmp_path / "before.onnx", tmp_path / "after.onnx", providers=["cpu"], lossy=True
    )
    assert found.status == "failed"


def test_a_weight_of_two_products_is_rounded_by_the_inputs_of_both() -> None:
    model = parse(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,256] x, float[n,256] v) => (float[n,96] y, float[n,96] z)
        { y = MatMul(x, w) z = MatMul(v, w) }""",
        w=weight(),
    )
    rng = np.random.default_rng(3)
    mixed = [rng.standard_normal((96, 8)) @ rng.standard_normal((8, 256)) for _ in range(2)]
    inputs = {"x": mixed[0].astype(np.float32), "v": 30 * mixed[1].astype(np.float32)}

    def stored(**given: Array) -> Array:
        asked: list[list[str]] = []
        service = grams_of(given, asked)
        outcome = optimise(model, "quantize-weights{method=gptq}", grams=service)
        assert asked == [["x", "v"]]
        held = [i for i in result(outcome).graph.initializer if "quantized" in i.name]
        assert {i.raw_data for i in held} == {held[0].raw_data}
        return np.frombuffer(held[0].raw_data, np.uint8)

    both, first, second = stored(**inputs), stored(x=inputs["x"]), stored(v=inputs["v"])
    assert (both != first).any()
    assert (both != second).any()
    joined = np.concatenate([inputs["x"], inputs["v"]])
    assert (both == stored(x=joined)).mean() > 0.99  # but for the order of adding up


@pytest.mark.parametrize("body", ["y = MatMul(x, w)", "y = Gemm(x, w, b)"])
def test_products_are_marked_and_proved_to_read_integers(body: str, tmp_path: Path) -> None:
    text = f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,256] x) => (float[n,96] y, float[n,96] z) {{ z = MatMul(x, v) {body} }}"""
    model = parse(text, w=weight(), v=weight(1), b=weight(2, (96,)))
    for node in model.graph.node:
        node.name = "same"
    outcome = optimise(model, "quantize-weights")
    save(outcome.model, tmp_path / "model.onnx")
    found = prove(tmp_path / "model.onnx").findings
    assert [(f.status, f.mode) for f in found] == [("integer", "weight-only")] * 2
    assert len({f.name for f in found}) == 2


@pytest.mark.parametrize("kind", ["s4", "s8"])
@pytest.mark.parametrize(
    ("rectifier", "copies"),
    [("r = Relu(p)", 1), ("r = Clip(p, low, high)", 1), ("r = Tanh(p)", 0)],
)
def test_a_rectifier_after_a_product_keeps_no_integers_from_being_read(
    rectifier: str, copies: int, kind: str, tmp_path: Path
) -> None:
    model = parse(
        f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[n,256] x) => (float[n,96] y) {{ p = MatMul(x, w) {rectifier} y = MatMul(r, v) }}""",
        w=weight(),
        v=weight(1, (WIDTH, WIDTH)),
        **(
            {"low": np.array(0, np.float32), "high": np.array(6, np.float32)}
            if "low" in rectifier
            else {}
        ),
    )
    made = result(optimise(model, f"quantize-weights{{type={kind}}}"))
    assert op_types(made.graph)["Sum"] == copies
    assert op_types(fused(made, tmp_path).graph)["MatMulNBits"] == 2
    x = np.random.default_rng(3).standard_normal((4, DEPTH)).astype(np.float32)
    assert cosine(model, made, {"x": x}) > 0.99


def test_a_rectifier_that_makes_an_output_needs_no_copy(tmp_path: Path) -> None:
    text = (
        TEXT.format(opset=21, type="float").replace("y =", "p =").replace(") }", ") y = Relu(p) }")
    )
    made = result(optimise(parse(text, w=weight()), "quantize-weights"))
    assert not op_types(made.graph)["Sum"]
    assert op_types(fused(made, tmp_path).graph)["MatMulNBits"] == 1
