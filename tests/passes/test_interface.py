"""Passes that change the interface: dims, shapes, opsets; and the optional onnxsim."""

from __future__ import annotations

import importlib.util

import onnx
import onnx.parser
import onnx.version_converter
import onnx_ir as ir
import pytest

from onnxopt.errors import UsageError
from onnxopt.pipeline.manager import Manager, Outcome, Settings
from onnxopt.targets.load import load_target

TEXT = """<ir_version: 8, opset_import: ["" : 17], metadata_props: ["author" : "somebody"]>
g (float[N,C,4] x, float[N] s) => (float[N,C,4] y, float[K] z)
<float[7,C,4] r>
{ r = Relu(x) y = Neg(r) z = Abs(s) }"""


def run(pipeline: str, text: str = TEXT) -> Outcome:
    proto = onnx.parser.parse_model(text)
    outcome = Manager(Settings()).run(lambda: ir.from_proto(proto), pipeline)
    assert not outcome.failures
    onnx.checker.check_model(ir.to_proto(outcome.model), full_check=True)
    return outcome


def shapes(model: ir.Model) -> dict[str, str]:
    return {v.name or "": str(v.shape) for v in (*model.graph.inputs, *model.graph.outputs)}


def test_set_dim_binds_the_name_everywhere() -> None:
    model = run("set-dim{dim=N,size=2}").model
    assert shapes(model) == {"x": "[2,C,4]", "s": "[2]", "y": "[2,C,4]", "z": "[2]"}


def test_set_input_shape_binds_what_it_replaces() -> None:
    model = run('set-input-shape{input=x,shape="3,channels,4"}').model
    assert shapes(model) == {"x": "[3,channels,4]", "s": "[3]", "y": "[3,C,4]", "z": "[3]"}


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("set-dim{dim=Q,size=2}", "no input has a dim called 'Q'; symbolic dims: C, N"),
        ('set-input-shape{input=q,shape="1"}', "no input called 'q'; it has: x, s"),
        ('set-input-shape{input=x,shape="1,2"}', "has rank 3, not 2"),
        ('set-input-shape{input=x,shape="1,2,5"}', "dim 2 is 4 and cannot be 5"),
        ('set-input-shape{input=x,shape="1,-2,4"}', "dim -2 is negative"),
        ("convert-opset{version=999}", "choose one from 7 to"),
    ],
)
def test_refusals(pipeline: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(pipeline)


@pytest.mark.parametrize("version", [18, 21])
def test_convert_opset_keeps_weights_and_metadata(version: int) -> None:
    text = """<ir_version: 8, opset_import: ["" : 13], metadata_props: ["author" : "somebody"]>
    g (float[N,40] x) => (float[N,40] y) <float[40,40] w, float[40] small>
    { m = MatMul(x, w) y = Add(m, small) }"""
    import numpy as np

    proto = onnx.parser.parse_model(text)
    weights = np.arange(1600, dtype=np.float32).reshape(40, 40) - 800
    del proto.graph.value_info[:]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    proto.graph.initializer.append(onnx.numpy_helper.from_array(weights[0], "small"))
    for node in proto.graph.node:
        node.name = f"node_{node.op_type}"
        node.metadata_props.add(key="k", value=node.op_type)
    outcome = Manager(Settings()).run(
        lambda: ir.from_proto(proto), f"convert-opset{{version={version}}}"
    )
    model = outcome.model
    assert model.opset_imports[""] == version
    assert [v.name for v in model.graph.inputs] == ["x"]
    assert model.metadata_props == {"author": "somebody"}
    kept = model.graph.initializers["w"].const_value
    assert kept is not None
    np.testing.assert_array_equal(kept.numpy(), weights)
    assert [n.metadata_props["k"] for n in model.graph] == ["MatMul", "Add"]


def test_convert_opset_inlines_functions() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "mine" : 1]>
    g (float[2,3,4] x) => (float[2,1,4] y) { y = mine.mean(x) }
    <domain: "mine", opset_import: ["" : 17]> mean (a) => (b) { b = ReduceMean<axes=[1]>(a) }"""
    outcome = run("convert-opset{version=23}", text)
    assert [n.op_type for n in outcome.model.graph if n.op_type != "Constant"] == ["ReduceMean"]
    assert not outcome.model.functions
    assert outcome.stats.notes == ["functions were inlined, because onnx cannot convert them"]


def test_convert_opset_keeps_large_constants_out_of_the_converter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[int] = []
    real = onnx.version_converter.convert_version

    def spy(proto: onnx.ModelProto, version: int) -> onnx.ModelProto:
        given.append(proto.ByteSize())
        return real(proto, version)

    monkeypatch.setattr(onnx.version_converter, "convert_version", spy)
    numbers = ", ".join(str(float(i)) for i in range(4000))
    text = f"""<ir_version: 8, opset_import: ["" : 13]>
    g (float[4000] x) => (float[4000] y) {{
        w = Constant<value = float[4000] {{{numbers}}}>()
        y = Add(x, w)
    }}"""
    model = run("convert-opset{version=21}", text).model
    assert given[0] < 4000
    kept = model.graph.initializers["w"].const_value
    assert kept is not None
    assert kept.numpy()[-1] == 3999.0


@pytest.mark.parametrize(("before", "after"), [(18, 21), (21, 18)])
def test_convert_opset_refuses_group_normalization_whose_scale_changed(
    before: int, after: int
) -> None:
    size = 2 if before < 21 else 4
    text = f"""<ir_version: 9, opset_import: ["" : {before}]>
    g (float[1,4,3,3] x, float[{size}] s) => (float[1,4,3,3] y)
    {{ y = GroupNormalization<num_groups=2>(x, s, s) }}"""
    with pytest.raises(UsageError, match="GroupNormalization is another operator"):
        run(f"convert-opset{{version={after}}}", text)


def test_convert_opset_says_what_cannot_be_converted() -> None:
    text = '<ir_version: 8, opset_import: ["" : 20]> g (float[3] x) => (float[3] y) { y = Gelu(x) }'
    with pytest.raises(UsageError, match="cannot convert to opset 13"):
        run("convert-opset{version=13}", text)


@pytest.mark.skipif(importlib.util.find_spec("onnxsim") is None, reason="onnxsim is not installed")
def test_onnxsim_simplifies() -> None:
    outcome = run("onnxsim", TEXT.replace("y = Neg(r)", "i = Identity(r) y = Neg(i)"))
    assert [n.op_type for n in outcome.model.graph] == ["Relu", "Neg", "Abs"]


def test_onnxsim_that_is_missing_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "onnxsim" else real(name, *a)
    )
    outcome = run("onnxsim")
    assert outcome.stats.notes == ["the pass onnxsim was skipped: onnxsim is not installed"]


def raised(target: str, text: str = TEXT, options: str = "version=23,needs=Attention") -> Outcome:
    proto = onnx.parser.parse_model(text)
    settings = Settings(target=load_target(target))
    return Manager(settings).run(lambda: ir.from_proto(proto), f"raise-opset{{{options}}}")


def test_raise_opset_where_the_target_has_what_is_needed() -> None:
    outcome = raised("ort-cpu")
    assert outcome.model.opset_imports[""] == 23
    assert outcome.sites == ["raise-opset@model"]


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("generic", "version=23,needs=Attention"),
        ("ort-cpu", 'version=23,needs="Attention Nonesuch"'),
        ("ort-cpu", "version=17"),
        ("ort-cpu", "version=13"),
    ],
)
def test_raise_opset_leaves_alone_what_would_not_gain(target: str, options: str) -> None:
    outcome = raised(target, options=options)
    assert outcome.model.opset_imports[""] == 17
    assert not outcome.sites


def test_raise_opset_says_why_it_cannot() -> None:
    text = """<ir_version: 9, opset_import: ["" : 18]>
    g (float[N,4,8] x, float[300,4] w) => (float[N,4,8] y, float[300,4] z)
    <float[2] scale, float[2] bias, float[300,4] r>
    { y = GroupNormalization<num_groups=2>(x, scale, bias) z = Add(w, r) }"""
    outcome = raised("ort-cpu", text)
    assert outcome.model.opset_imports[""] == 18
    assert any("the opset stays 18: cannot convert" in note for note in outcome.stats.notes)
    assert not outcome.sites
