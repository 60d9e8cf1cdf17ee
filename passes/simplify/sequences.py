"""Sequences and optionals that are taken apart right after they were put together."""

from __future__ import annotations

import onnx_ir as ir

from onnxopt.rewrite import Builder, Const, Match, Skip, op, rule

from .._forms import SliceRange, build_slice, input_of, normalize


@rule(
    op.SequenceAt(op.SequenceConstruct(..., bind="construct", shared=True), Const("index")),
    exact=True,
)
def element_of_construct(m: Match, build: Builder) -> ir.Value | Skip:
    """Take an element of a sequence from what the sequence was made of.

    Declines where the index is out of range.

    Example: SequenceAt(SequenceConstruct(a, b), 1) -> b
    """
    elements = m.node("construct").inputs
    index = m.ints("index")[0]
    if not -len(elements) <= index < len(elements):
        return Skip("the index is out of range")
    chosen = elements[index]
    assert chosen is not None, "SequenceConstruct has no optional inputs"
    return chosen


@rule(op.ConcatFromSequence(op.SequenceConstruct(..., bind="construct", shared=True)), exact=True)
def concat_of_construct(m: Match, build: Builder) -> ir.Value | Skip:
    """Concatenate what a sequence was made of, without the sequence.

    Declines where the elements are stacked along a new axis.

    Example: ConcatFromSequence<axis=0>(SequenceConstruct(a, b)) -> Concat<axis=0>(a, b)
    """
    if m.attr(m.root, "new_axis", 0):
        return Skip("the elements are stacked along a new axis")
    return build.op("Concat", *m.node("construct").inputs, axis=int(m.attr(m.root, "axis")))


@rule(
    op.SequenceAt(op.SplitToSequence("x", ..., bind="split", shared=True), Const("index")),
    exact=True,
)
def element_of_split(m: Match, build: Builder) -> ir.Value | Skip:
    """Take an element of a sequence of slices as a slice.

    The other elements do the same, and the sequence falls away. Declines where the sizes of the parts are
    not known, and for an index that is out of range or counts from the end.

    Example: SequenceAt(SplitToSequence<axis=0>(x, 2), 1) -> Slice(x, [2], [4], [0])
    """
    split, index = m.node("split"), m.ints("index")[0]
    sizes = input_of(split, 1)
    axis = normalize(int(m.attr(split, "axis", 0)), m.rank("x"))
    if index < 0:
        return Skip("the index counts from the end")
    if sizes is None and not m.attr(split, "keepdims", 1):
        return build.op("Gather", m.value("x"), build.ints("index", index), axis=axis)
    lengths = [1] if sizes is None else m.ints(sizes)
    one_size = sizes is None or m.rank(sizes) == 0
    if not one_size and index >= len(lengths):
        return Skip("the index is out of range")
    start = index * lengths[0] if one_size else sum(lengths[:index])
    length = lengths[0] if one_size else lengths[index]
    return build_slice(m, build, m.value("x"), [SliceRange(axis, start, start + length, 1)])


@rule(op.OptionalGetElement(op.Optional("x", shared=True)), exact=True)
def element_of_optional(m: Match, build: Builder) -> ir.Value:
    """Take the value of an optional from what it was made of.

    Example: OptionalGetElement(Optional(x)) -> x
    """
    return m.value("x")
