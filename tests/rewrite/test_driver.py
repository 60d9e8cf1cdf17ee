"""The driver and the editor: what they commit, what they refuse, and what they keep."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnx_ir as ir
import pytest

from onnxopt.pipeline.base import Context
from onnxopt.pipeline.instruments import listing
from onnxopt.rewrite import Builder, Const, Driver, Gate, Match, Rule, Skip, op, rule

HEADER = '<ir_version: 8, opset_import: ["" : 17]>'


@rule(op.Relu(op.Relu("x", shared=True)), exact=True)
def merge(m: Match, build: Builder) -> ir.Value:
    """Merge two."""
    return build.op("Relu", m.value("x"))


@rule(op.Identity("x"), exact=True)
def drop(m: Match, build: Builder) -> ir.Value:  # noqa: ARG001
    """Drop it."""
    return m.value("x")


@rule(op.Neg(op.Abs("x"), bind="neg"))
def needs_single_use(m: Match, build: Builder) -> ir.Value:
    """Keep the count of nodes, if the inner one goes."""
    return build.op("Sign", build.op("Floor", m.value("x")))


def model(body: str, header: str = HEADER) -> ir.Model:
    return ir.from_proto(onnx.parser.parse_model(f"{header} {body}"))


def drive(m: ir.Model, *rules: Rule, gate: Gate | None = None) -> Context:
    context = Context(m, gate or Gate())
    Driver(context.editor, rules).run()
    onnx.checker.check_model(ir.to_proto(m))
    return context


def ops(m: ir.Model) -> list[str]:
    return [node.op_type for node in m.graph.all_nodes()]


def test_shared_inner_node_stays_for_its_other_users() -> None:
    m = model("g (float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Relu(a) z = Neg(a) }")
    drive(m, merge)
    assert ops(m) == ["Relu", "Relu", "Neg"]
    relu = m.graph.outputs[0].producer()
    assert relu is not None
    assert relu.inputs[0] is m.graph.inputs[0]


def test_inner_node_with_other_uses_is_declined() -> None:
    m = model("g (float[3] x) => (float[3] y, float[3] z) { a = Abs(x) y = Neg(a) z = Neg(a) }")
    context = drive(m, needs_single_use)
    assert ops(m) == ["Abs", "Neg", "Neg"]
    assert context.stats.declined["needs-single-use"] == {"an inner value has other uses": 2}


def test_inner_value_that_is_an_output_is_declined() -> None:
    m = model("g (float[3] x) => (float[3] y, float[3] a) { a = Abs(x) y = Neg(a) }")
    context = drive(m, needs_single_use)
    assert "an inner value is a graph output" in context.stats.declined["needs-single-use"]


def test_outputs_keep_names_and_order() -> None:
    m = model(
        "g (float[3] x) => (float[3] y, float[3] z) { y = Identity(x) a = Relu(x) z = Identity(a) }"
    )
    drive(m, drop)
    assert [v.name for v in m.graph.outputs] == ["y", "z"]
    assert ops(m) == ["Identity", "Relu"]


def test_two_outputs_of_one_value_keep_a_node_each() -> None:
    m = model(
        "g (float[3] x) => (float[3] y, float[3] z) { a = Relu(x) y = Identity(a) z = Identity(a) }"
    )
    drive(m, drop)
    assert sorted(ops(m)) == ["Identity", "Relu"]
    assert [v.name for v in m.graph.outputs] == ["y", "z"]


def test_output_shapes_and_types_survive() -> None:
    m = model("g (float[N,3] x) => (float[M,3] y) { a = Relu(x) y = Relu(a) }")
    drive(m, merge)
    assert str(m.graph.outputs[0].shape) == "[M,3]"


def test_rewrites_in_subgraphs_see_outer_values() -> None:
    m = model(
        """g (float[3] x, bool c) => (float[3] y) {
        r = Relu(x)
        y = If (c) <then_branch = t () => (float[3] p) { p = Relu(r) },
                    else_branch = e () => (float[3] q) { s = Identity(r) q = Neg(s) }>
        }"""
    )
    drive(m, merge, drop)
    assert sorted(ops(m)) == ["If", "Neg", "Relu", "Relu"]


def test_rewrites_in_functions_and_shadowed_operators() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "f" : 1]>
    g (float[3] x) => (float[3] y) { y = f.two(x) }
    <domain: "f", opset_import: ["" : 17]>
    two (a) => (b) { c = Relu(a) b = Relu(c) }"""
    m = ir.from_proto(onnx.parser.parse_model(text))
    drive(m, merge)
    (function,) = m.functions.values()
    assert [n.op_type for n in function] == ["Relu"]


def test_gate_limits_and_bans() -> None:
    body = (
        "g (float[3] x) => (float[3] y) { a = Identity(x) b = Relu(a) c = Identity(b) y = Relu(c) }"
    )
    full = drive(model(body), merge, drop)
    assert len(full.gate.log) == 3
    first = drive(model(body), merge, drop, gate=Gate(limit=1))
    assert first.gate.log == full.gate.log[:1]
    banned = drive(model(body), merge, drop, gate=Gate(banned={full.gate.log[0]}))
    assert full.gate.log[0] not in banned.gate.log
    assert banned.gate.log


def test_rule_that_raises_is_recorded_and_leaves_the_graph() -> None:
    @rule(op.Relu("x"))
    def broken(m: Match, build: Builder) -> ir.Value:
        """Break."""
        build.op("Neg", m.value("x"))
        raise RuntimeError("boom")

    m = model("g (float[3] x) => (float[3] y) { y = Relu(x) }")
    context = drive(m, broken)
    assert context.stats.errors == [("broken", context.stats.errors[0][1], "RuntimeError: boom")]
    assert ops(m) == ["Relu"]
    assert len(m.graph.inputs[0].uses()) == 1


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda m, b: b.op("Cast", m.value("x"), to=ir.DataType.INT64), "the type would change"),
        (
            lambda m, b: b.op("Unsqueeze", m.value("x"), b.ints("axes", [0])),
            "the rank would change",
        ),
        (lambda m, b: b.op("Gelu", m.value("x")), "does not exist at opset 17"),
        (lambda m, b: b.op("Neg", m.value("x"), axis=1), "has no attribute axis"),
        (lambda m, b: b.op("Concat", m.value("x")), "needs the attribute axis"),
        (lambda m, b: b.op("Gather", m.value("x"), axis=0), "cannot take 1 inputs"),
        (lambda m, b: Skip("not today"), "not today"),  # noqa: ARG005
        (lambda m, b: b.op("Neg", m.value("nope")), "input nope is absent"),
    ],
)
def test_editor_refuses(make: object, reason: str) -> None:
    @rule(op.Relu("x"))
    def bad(m: Match, build: Builder) -> ir.Value:
        """Do what is not allowed."""
        return make(m, build)  # type: ignore[operator, no-any-return]

    m = model("g (float[2,3] x) => (float[2,3] y) { y = Relu(x) }")
    context = drive(m, bad)
    assert ops(m) == ["Relu"]
    assert len(m.graph.inputs[0].uses()) == 1, "declined nodes must not keep using values"
    assert any(reason in given for given in context.stats.declined["bad"])


def test_budget_declines_growth() -> None:
    @rule(op.Relu("x"))
    def grow(m: Match, build: Builder) -> ir.Value:
        """Add a large constant."""
        return build.op("Add", m.value("x"), build.const("big", np.zeros((100, 100), np.float32)))

    m = model("g (float[100,100] x) => (float[100,100] y) { y = Relu(x) }")
    context = drive(m, grow)
    assert ops(m) == ["Relu"]
    assert context.stats.declined["grow"] == {"the model would grow": 1}
    assert not m.graph.initializers


def test_cycling_rules_stop_and_are_named() -> None:
    @rule(op.Neg("x"))
    def to_abs(m: Match, build: Builder) -> ir.Value:
        """There."""
        return build.op("Abs", m.value("x"))

    @rule(op.Abs("x"))
    def to_neg(m: Match, build: Builder) -> ir.Value:
        """And back."""
        return build.op("Neg", m.value("x"))

    m = model("g (float[3] x) => (float[3] y) { y = Neg(x) }")
    context = drive(m, to_abs, to_neg)
    assert len(context.stats.notes) == 1
    assert "to-abs" in context.stats.notes[0]
    assert "to-neg" in context.stats.notes[0]


def test_names_never_clash_with_what_exists() -> None:
    m = model(
        """g (float[3] x) => (float[3] y)
        <float[3] "Relu" = {1, 2, 3}, float[3] "r/Relu" = {1, 2, 3}>
        { r = Relu(x) s = Relu(r) t = Add(s, "Relu") y = Add(t, "r/Relu") }"""
    )
    for node in m.graph:
        node.name = "r"
    drive(m, merge)
    names = [v.name for n in m.graph for v in n.outputs] + list(m.graph.initializers) + ["x"]
    assert len(names) == len(set(names))


def test_a_value_that_stands_for_two_keeps_the_name_of_the_graph_output() -> None:
    @rule(op.TopK("x", "k"))
    def twice(m: Match, build: Builder) -> list[ir.Value]:
        """One value for both."""
        made = build.op("Relu", m.value("x"))
        return [made, made]

    m = model(
        """g (int64[3] x) => (int64[3] y, int64[3] w) <int64[1] k = {3}>
        { y, z = TopK(x, k) w = Neg(z) }"""
    )
    Driver(Context(m, Gate()).editor, [twice]).run()
    assert ops(m) == ["Relu", "Neg"]
    assert [v.name for v in m.graph.outputs] == ["y", "w"]


def test_a_name_bound_twice_is_one_node() -> None:
    relu = op.Relu("x", bind="relu", shared=True)

    @rule(op.Add(op.Neg(relu), op.Abs(relu)))
    def merge_both(m: Match, build: Builder) -> ir.Value:
        """Use both readers of one node."""
        return build.op("Sign", m.value("x"))

    one = model(
        "g (float[3] x) => (float[3] y) { a = Relu(x) b = Neg(a) c = Abs(a) y = Add(b, c) }"
    )
    drive(one, merge_both)
    assert ops(one) == ["Sign"]
    two = model(
        """g (float[3] x) => (float[3] y)
        { a = Relu(x) d = Relu(x) b = Neg(a) c = Abs(d) y = Add(b, c) }"""
    )
    drive(two, merge_both)
    assert ops(two) == ["Relu", "Relu", "Neg", "Abs", "Add"]


def test_a_body_never_hides_a_name_that_a_value_takes() -> None:
    m = model(
        """g (float[3] x, int64 n) => (float[3] y, float[3] z)
        { t = Relu(x)
          z = Loop(n, , x) <body = b (int64 i, bool c, float[3] y) => (bool d, float[3] w)
            { d = Identity(c) w = Add(y, t) }>
          y = Identity(t) }"""
    )
    drive(m, drop)
    assert [v.name for v in m.graph.outputs] == ["y", "z"]
    (loop,) = [node for node in m.graph if node.op_type == "Loop"]
    body = ir.to_proto(loop.attributes["body"].as_graph())
    (add,) = [node for node in body.node if node.op_type == "Add"]
    assert add.input[0] == body.input[2].name
    assert add.input[1] == "y"
    assert body.input[2].name != "y"


def test_provenance_accumulates() -> None:
    m = model("g (float[3] x) => (float[3] y) { a = Relu(x) b = Relu(a) y = Relu(b) }")
    for index, node in enumerate(m.graph):
        node.name = f"n{index}"
    drive(m, merge)
    (node,) = m.graph
    assert node.metadata_props["onnxopt.rule"] == "merge"
    assert set(node.metadata_props["onnxopt.from"].split(", ")) == {"n0", "n1", "n2"}


def test_overridable_initializers_are_no_constants() -> None:
    @rule(op.Add("x", Const("c")))
    def fold(m: Match, build: Builder) -> ir.Value:
        """Use the constant."""
        return build.op("Relu", m.value("x"))

    body = "g (float[3] x, float[3] c) => (float[3] y) <float[3] c = {1, 2, 3}> { y = Add(x, c) }"
    m = model(body)
    drive(m, fold)
    assert ops(m) == ["Add"]


def test_listing_shows_every_node() -> None:
    m = model("g (float[3] x) => (float[3] y) { a = Relu(x) y = LeakyRelu<alpha = 0.5>(a) }")
    text = listing(m)
    assert "a = Relu (x)" in text
    assert "LeakyRelu <alpha=0.5> (a)" in text


@rule(op.Neg(op.Add("a", "b", shared=True, bind="sum"), bind="neg"))
def both_at_once(m: Match, build: Builder) -> ir.Value:
    """Compute a sum and its negative where the sum is made."""
    first = build.op("Sum", m.value("a"), m.value("b"))
    build.replace(m.node("sum").outputs[0], first)
    return build.op("Abs", first)


def test_a_rule_may_replace_an_inner_value_that_others_read_before_the_root() -> None:
    m = model(
        "g (float[3] a, float[3] b) => (float[3] y, float[3] z, float[3] s) "
        "{ s = Add(a, b) z = Exp(s) y = Neg(s) }"
    )
    context = drive(m, both_at_once)
    assert ops(m) == ["Sum", "Abs", "Exp"]
    assert [v.name for v in m.graph.outputs] == ["y", "z", "s"]
    assert context.stats.removed == {"Add": 1, "Neg": 1}


def test_what_others_read_is_not_replaced_by_what_is_made_too_late() -> None:
    @rule(op.Sub(op.Add("a", "b", shared=True, bind="sum"), "late"))
    def too_late(m: Match, build: Builder) -> ir.Value:
        """Read the subtrahend where the sum is made."""
        build.replace(m.node("sum").outputs[0], build.op("Sum", m.value("a"), m.value("late")))
        return build.op("Abs", m.value("late"))

    m = model(
        "g (float[3] a, float[3] b) => (float[3] y, float[3] s) "
        "{ s = Add(a, b) z = Exp(s) y = Sub(s, z) }"
    )
    context = drive(m, too_late)
    assert ops(m) == ["Add", "Exp", "Sub"]
    assert context.stats.declined["too-late"] == {"an input is made too late": 1}


def test_what_others_read_is_not_replaced_from_within_a_branch() -> None:
    m = model(
        "g (bool c, float[3] a, float[3] b) => (float[3] y, float[3] s) { s = Add(a, b) "
        "y = If(c) <then_branch = t () => (float[3] p) { p = Neg(s) }, "
        "else_branch = e () => (float[3] q) { q = Identity(a) }> }"
    )
    context = drive(m, both_at_once)
    assert ops(m) == ["Add", "If", "Neg", "Identity"]
    assert list(context.stats.declined["both-at-once"]) == [
        "part of the pattern lies in another graph"
    ]
