"""Facts through If, Loop and Scan, against onnxruntime."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.analysis.dims import is_unknown, symbol
from onnxopt.analysis.facts import Facts

from .harness import check_runs, named, parse

B, S = symbol("b"), symbol("s")
RUNS = [{"b": 2, "s": 3}, {"b": 1, "s": 1}, {"b": 4, "s": 2}]


def test_if_keeps_what_its_branches_agree_on() -> None:
    model = parse("""g (float[b,s] x, bool c) => (float[] y)
      { y, z, n = If(c) <then_branch = t () => (float[] p, float[] q, int64[1] m) { p = Relu(x) q = Neg(x) m = Shape<end = 1>(x) },
        else_branch = e () => (float[] p2, float[] q2, int64[1] m2) { p2 = Neg(x) q2 = Transpose(x) m2 = Shape<end = 1>(p2) }> }""")
    facts = Facts(model)
    values = named(model)
    assert facts.shape(values["y"]) == (B, S)
    merged = facts.shape(values["z"])
    assert merged is not None
    assert all(is_unknown(dim) for dim in merged)
    assert facts.content(values["n"]) == (B,)
    check = check_runs(model, RUNS, facts)
    assert not check.faults


def test_if_with_a_decided_condition_takes_one_branch() -> None:
    model = parse("""g (float[b,1,s] x) => (float[] y)
      <int64[1] one = {1}, int64 at = {1}, int64 unit = {1}>
      { shape = Shape(x) dim = Gather(shape, at) c = Equal(dim, unit)
        y = If(c) <then_branch = t () => (float[] p) { p = Squeeze(x, one) },
                   else_branch = e () => (float[] p2) { p2 = Identity(x) }> }""")
    facts = Facts(model)
    assert facts.shape(model.graph.outputs[0]) == (B, S)
    check = check_runs(model, RUNS, facts)
    assert not check.faults
    assert not check.unknown


LOOP = """g (float[b,s] x) => (float[] y)
  <int64 trips = {3}, bool go = {1}>
  { y, grown, z, w = Loop(trips, go, x, x) <body = l (int64 i, bool c, float[] p, float[] q)
      => (bool c2, float[] p2, float[] q2, float[] out, int64[2] dims)
      { c2 = Identity(c) p2 = Relu(p) q2 = Concat<axis = 1>(q, p) out = Add(p, p) dims = Shape(q) }>
    end = Relu(grown) }"""


def test_loop_keeps_invariant_dimensions_and_no_others() -> None:
    model = parse(LOOP)
    facts = Facts(model)
    values = named(model)
    assert facts.shape(values["y"]) == (B, S)
    grown = facts.shape(values["grown"])
    assert grown is not None
    assert grown[0] == B
    assert is_unknown(grown[1])
    assert facts.rank(values["z"]) == 3
    assert facts.shape(values["w"]) is not None
    check = check_runs(model, RUNS, facts)
    assert not check.faults


def test_facts_inside_of_a_loop_hold_for_each_iteration() -> None:
    model = parse(LOOP)
    facts = Facts(model)
    body = model.graph[0].attributes["body"].as_graph()
    p, q = body.inputs[2:4]
    assert facts.shape(p) == (B, S)
    shape = facts.shape(q)
    assert shape is not None
    assert is_unknown(shape[1])
    dims = body.outputs[4]
    assert facts.content(dims) == shape


def test_loop_variable_of_changing_rank() -> None:
    model = parse("""g (float[b,s] x) => (float[] y) <int64 trips = {2}, bool go = {1}, int64[1] zero = {0}>
      { y = Loop(trips, go, x) <body = l (int64 i, bool c, float[] p) => (bool c2, float[] p2)
          { c2 = Identity(c) p2 = Unsqueeze(p, zero) }> }""")
    facts = Facts(model)
    assert facts.shape(model.graph.outputs[0]) is None
    assert facts.dtype(model.graph.outputs[0]) == ir.DataType.FLOAT


def test_nothing_symbolic_leaves_a_loop_that_may_not_run() -> None:
    model = parse("""g (float[b,s] x, int64 trips) => (float[] y) <bool go = {1}>
      { y, z = Loop(trips, go, x) <body = l (int64 i, bool c, float[] p) => (bool c2, float[] p2, float[] q)
          { c2 = Identity(c) p2 = Identity(p) q = Transpose(p) }> }""")
    facts = Facts(model)
    yielded = facts.shape(named(model)["z"])
    assert yielded is not None
    assert all(is_unknown(dim) for dim in yielded)
    assert facts.shape(named(model)["y"]) == (B, S)


def test_scan() -> None:
    model = parse("""g (float[b,4] state, float[s,b,4] xs) => (float[] last, float[] ys)
      { last, ys, other = Scan<num_scan_inputs = 1, scan_output_axes = [0, 1], body = l (float[] h, float[] x)
          => (float[] h2, float[] y, float[] z) { h2 = Add(h, x) y = Relu(h2) z = Transpose(x) }>(state, xs) }""")
    facts = Facts(model)
    values = named(model)
    assert facts.shape(values["last"]) == (B, 4)
    ys = facts.shape(values["ys"])
    assert ys is not None
    assert ys[0] == S
    assert ys[2] == 4
    check = check_runs(model, RUNS, facts)
    assert not check.faults


def test_constants_around_are_seen_in_bodies() -> None:
    model = parse("""g (float[b,s] x, bool c) => (float[] y) <int64[2] turned = {-1, 0}, int64[3] w = {1, 2, 3}>
      { y = If(c) <then_branch = t () => (float[] p) <int64[1] inner = {-1}>
          { k = Constant<value_ints = [4, 0]>() p = Reshape(x, inner) r = Identity(w) },
        else_branch = e () => (float[] p2) <int64[1] other = {-1}> { p2 = Reshape(x, other) }> }""")
    facts = Facts(model)
    then = model.graph[0].attributes["then_branch"].as_graph()
    by_name = {node.outputs[0].name: node.outputs[0] for node in then}
    assert facts.const_tensor(then.initializers["inner"]) is not None
    assert facts.content(by_name["k"]) == (4, 0)
    assert facts.content(by_name["r"]) == (1, 2, 3)
    assert facts.shape(model.graph.outputs[0]) == (B * S,)
