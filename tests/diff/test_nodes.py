"""What is said to have happened to nodes, on models of a few nodes."""

from __future__ import annotations

import onnx
import pytest

import onnxopt
from onnxopt.diffing.result import Change

from .support import parse

ALL = "g (float[N,4] x, float[N,4] z) => (float[N,4] y)\n"


def changes(before: str, after: str, head: str = ALL) -> list[Change]:
    found = onnxopt.diff(parse(head + before), parse(head + after))
    lost = found.nodes.unchanged + sum(len(c.before) for c in found.nodes.changes)
    new = found.nodes.unchanged + sum(len(c.after) for c in found.nodes.changes)
    assert (lost, new) == (found.before.nodes, found.after.nodes)
    return list(found.nodes.changes)


def only(before: str, after: str, head: str = ALL) -> Change:
    [change] = changes(before, after, head)
    return change


def names(change: Change) -> tuple[list[str], list[str]]:
    return [place.name for place in change.before], [place.name for place in change.after]


def test_fused_without_metadata() -> None:
    found = only(
        "{ a = Sin (x) b = Sigmoid (a) c = Mul (a, b) y = Cos (c) }",
        '{ p = Sin (x) q = "com.microsoft.QuickGelu" (p) y = Cos (q) }'.replace('"', ""),
    )
    assert found.kind == "fused"
    assert names(found) == (["b", "c"], ["q"])
    assert found.after[0].op == "com.microsoft.QuickGelu"


def test_folded_into_a_constant() -> None:
    found = changes(
        "<float[4] w = {1, -2, 3, -4}> { a = Neg (w) y = Mul (x, a) }",
        "<float[4] v = {-1, 2, -3, 4}> { y = Mul (x, v) }",
    )
    assert [(c.kind, names(c)[0]) for c in found] == [("folded", ["a"])]


def test_identity_is_removed_and_what_follows_is_unchanged() -> None:
    found = only("{ a = Sin (x) b = Identity (a) y = Cos (b) }", "{ p = Sin (x) y = Cos (p) }")
    assert (found.kind, names(found)) == ("removed", (["b"], []))
    assert found.details == ("it passes its input on",)


def test_dead_node_is_removed() -> None:
    found = only("{ a = Sin (x) y = Cos (x) }", "{ y = Cos (x) }")
    assert (found.kind, found.details) == ("removed", ("nothing reads it",))


def test_transposes_that_cancel_are_removed() -> None:
    found = changes(
        "{ a = Sin (x) b = Transpose (a) c = Transpose (b) y = Cos (c) }",
        "{ p = Sin (x) y = Cos (p) }",
    )
    assert {(c.kind, c.details) for c in found} == {
        ("removed", ("what reads it reads its input now",))
    }


def test_equal_nodes_are_merged() -> None:
    found = only(
        "{ a = Sin (x) b = Sin (x) c = Cos (a) d = Tan (b) y = Add (c, d) }",
        "{ p = Sin (x) c = Cos (p) d = Tan (p) y = Add (c, d) }",
    )
    assert (found.kind, found.details) == ("merged", ("another node computes the same",))


def test_attribute_changed() -> None:
    found = only("{ y = Elu <alpha = 0.5> (x) }", "{ y = Elu <alpha = 0.25> (x) }")
    assert (found.kind, found.details) == ("changed", ("alpha 0.5 → 0.25",))


def test_default_that_is_written_down_is_no_change() -> None:
    assert changes("{ y = Elu <alpha = 1.0> (x) }", "{ y = Elu (x) }") == []


def test_small_constant_changed() -> None:
    head = "g (float[2,3] x) => (float[M,K] y)\n"
    found = only(
        "<int64[2] s = {3, 2}> { y = Reshape (x, s) }",
        "<int64[2] s = {1, 6}> { y = Reshape (x, s) }",
        head,
    )
    assert (found.kind, found.details) == ("changed", ("input 1 [3, 2] → [1, 6]",))


def test_other_input() -> None:
    found = only("{ a = Sin (x) y = Sub (a, x) }", "{ a = Sin (x) y = Sub (a, z) }")
    assert (found.kind, found.details) == ("changed", ("input 1 x → z",))


def test_inputs_of_a_sum_in_another_order() -> None:
    found = only("{ a = Sin (x) y = Add (a, x) }", "{ a = Sin (x) y = Add (x, a) }")
    assert (found.kind, found.details) == ("moved", ("its inputs are in another order",))


def test_inputs_of_a_difference_in_another_order() -> None:
    found = only("{ a = Sin (x) y = Sub (a, x) }", "{ a = Sin (x) y = Sub (x, a) }")
    assert found.kind == "changed"


def test_retyped() -> None:
    before = parse("g (float[N] x) => (float[N] y) { a = Sin (x) y = Cos (a) }")
    after = parse("g (float16[N] x) => (float16[N] y) { a = Sin (x) y = Cos (a) }")
    found = onnxopt.diff(before, after)
    assert [(c.kind, c.details) for c in found.nodes.changes] == [
        ("retyped", ("float32 → float16",))
    ] * 2
    assert [(c.what, c.kind, c.name) for c in found.interface] == [
        ("input", "retyped", "x"),
        ("output", "retyped", "y"),
    ]


def test_added_between_two_that_stay() -> None:
    found = only("{ a = Sin (x) y = Cos (a) }", "{ a = Sin (x) b = Abs (a) y = Cos (b) }")
    assert (found.kind, names(found)) == ("added", ([], ["b"]))


def test_constant_node_that_became_an_initializer() -> None:
    found = only(
        "{ w = Constant <value = float[4] {1.0, -2.0, 3.0, -4.0}> () y = Mul (x, w) }",
        "<float[4] v = {1, -2, 3, -4}> { y = Mul (x, v) }",
    )
    assert found.kind == "lifted"


IF = """g (float[N,4] x, bool c) => (float[N,4] y) {{
  y = If (c) <
    then_branch = t () => (float[N,4] u) {{ u = {inside} }},
    else_branch = e () => (float[N,4] v) {{ v = Neg (x) }}
  >
}}"""


def test_change_in_a_body() -> None:
    a, b = (parse(IF.format(inside=f"Elu <alpha = {alpha}> (x)")) for alpha in (0.5, 0.25))
    [found] = onnxopt.diff(a, b).nodes.changes
    assert (found.kind, found.details) == ("changed", ("alpha 0.5 → 0.25",))
    assert found.before[0].scope == "If/then_branch"


def test_moved_out_of_a_body() -> None:
    after = """g (float[N,4] x, bool c) => (float[N,4] y) {
      u = Sin (x)
      y = If (c) <
        then_branch = t () => (float[N,4] w) { w = Cos (u) },
        else_branch = e () => (float[N,4] v) { v = Neg (x) }
      >
    }"""
    before = """g (float[N,4] x, bool c) => (float[N,4] y) {
      y = If (c) <
        then_branch = t () => (float[N,4] w) { u = Sin (x) w = Cos (u) },
        else_branch = e () => (float[N,4] v) { v = Neg (x) }
      >
    }"""
    found = onnxopt.diff(parse(before), parse(after)).nodes
    assert [(c.kind, c.details) for c in found.changes] == [
        ("moved", ("from If/then_branch to the main graph",))
    ]
    assert found.unchanged == 3


def test_functions() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
    g (float[N] x) => (float[N] y) {{ y = own.f (x) }}
    <domain: "own", opset_import: ["" : 17]>
    f (u) => (v) {{ s = Sin (u) v = {op} (s) }}"""
    a, b = (onnx.parser.parse_model(text.format(op=op)) for op in ("Cos", "Tan"))
    found = onnxopt.diff(a, b)
    [change] = found.nodes.changes
    assert change.kind == "replaced"
    assert (change.before[0].scope, change.before[0].op, change.after[0].op) == (
        "own.f",
        "Cos",
        "Tan",
    )
    assert found.nodes.unchanged == 2


def test_models_that_have_nothing_in_common() -> None:
    found = changes("{ a = Sin (x) y = Cos (a) }", "{ a = Tan (z) b = Abs (a) y = Neg (b) }")
    assert {c.kind for c in found} <= {"replaced", "fused", "removed", "added"}


@pytest.mark.parametrize("order", [1, -1])
def test_provenance_names_what_was_fused(order: int) -> None:
    before = parse(ALL + "{ a = Sin (x) b = Cos (a) y = Tan (b) }")
    for node in before.graph.node:
        node.name = f"n_{node.output[0]}"
    after = parse(ALL + "{ k = Atan (x) y = Tan (k) }")
    for key, value in (("onnxopt.rule", "sin-cos"), ("onnxopt.from", "n_a, n_b"))[::order]:
        after.graph.node[0].metadata_props.add(key=key, value=value)
    after.ir_version = before.ir_version = 10
    [change] = onnxopt.diff(before, after).nodes.changes
    assert change.kind == "fused"
    assert change.rules == ("sin-cos",)
    assert [p.name for p in change.before] == ["n_a", "n_b"]
