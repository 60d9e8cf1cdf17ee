"""Facts under symbolic dimensions against onnxruntime, at several sizes each, 1 and 0 among them."""

from __future__ import annotations

import pytest

from onnxopt.analysis.dims import is_unknown
from onnxopt.analysis.facts import Facts

from .harness import check_runs, parse

BS = [{"b": 2, "s": 5}, {"b": 1, "s": 1}, {"b": 3, "s": 8}]
WITH_ZERO = [*BS, {"b": 2, "s": 0}, {"b": 0, "s": 3}]
IMAGES = [{"n": 1, "h": 9, "w": 16}, {"n": 2, "h": 32, "w": 7}, {"n": 3, "h": 8, "w": 8}]

CLOSED = {
    "heads": (
        """g (float[b,s,24] x) => (float y)
        <int64 zero = {0}, int64 one = {1}, int64[1] axis = {0}, int64[1] heads = {4}, int64[1] rest = {-1}>
        { shape = Shape(x)  batch = Gather(shape, zero)  length = Gather(shape, one)
          b1 = Unsqueeze(batch, axis)  s1 = Unsqueeze(length, axis)
          target = Concat<axis = 0>(b1, s1, heads, rest)  split = Reshape(x, target)
          turned = Transpose<perm = [0, 2, 1, 3]>(split)  keys = Transpose<perm = [0, 2, 3, 1]>(split)
          scores = MatMul(turned, keys)  weights = Softmax(scores)  mixed = MatMul(weights, turned)
          back = Transpose<perm = [0, 2, 1, 3]>(mixed)  joined = Concat<axis = 0>(b1, s1, rest)
          y = Reshape(back, joined) }""",
        BS,
    ),
    "flatten": (
        """g (float[b,s,4] x) => (float y)
        { a = Flatten(x)  c = Flatten<axis = 2>(x)  d = Flatten<axis = -1>(x)  e = Flatten<axis = 0>(x)
          y = Identity(a) }""",
        WITH_ZERO,
    ),
    "slices": (
        """g (float[b,s] x) => (float y)
        <int64[1] z = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}, int64[1] m1 = {-1},
         int64[1] m2 = {-2}, int64[1] m3 = {-3}, int64[1] big = {9223372036854775807}>
        { a = Slice(x, z, big, one)  c = Slice(x, one, big, one)  d = Slice(x, m2, big, one)
          e = Slice(x, z, m1, one)  f = Slice(x, one, m1, one)  g1 = Slice(x, z, three, one)
          h = Slice(x, one, big, one, two)  i = Slice(x, z, big, one, three)
          l = Slice(x, m3, m1, one)  m = Slice(x, two, one, one)  y = Identity(a) }""",
        [*WITH_ZERO, {"b": 1, "s": 2}, {"b": 1, "s": 3}],
    ),
    # onnxruntime aborts on some backward slices of empty dimensions, so there is none here.
    "backward slices": (
        """g (float[b,s] x) => (float y)
        <int64[1] z = {0}, int64[1] one = {1}, int64[1] m1 = {-1}, int64[1] m2 = {-2}, int64[1] m3 = {-3},
         int64[1] big = {9223372036854775807}, int64[1] small = {-9223372036854775807}>
        { j = Slice(x, big, small, one, m1)  k = Slice(x, m1, small, one, m2)  n = Slice(x, big, z, one, m3)
          y = Identity(j) }""",
        [*BS, {"b": 1, "s": 2}, {"b": 1, "s": 3}],
    ),
    "slice up to a dimension": (
        """g (float[b,s] x, float[1,32] table) => (float y)
        <int64[1] z = {0}, int64[1] one = {1}, int64[1] two = {2}>
        { shape = Shape(x)  length = Slice(shape, one, two)  cut = Slice(table, z, length, one)
          y = Add(x, cut) }""",
        WITH_ZERO[:3],
    ),
    "split": (
        """g (float[b,s,12] x) => (float y)
        <int64[3] parts = {2, 4, 6}>
        { a, c, d = Split<axis = 2, num_outputs = 3>(x)  e, f, h = Split<axis = -1>(x, parts)
          i, j = Split<axis = 2, num_outputs = 2>(x)  y = Concat<axis = 2>(a, f, j) }""",
        WITH_ZERO,
    ),
    "concatenation": (
        """g (float[b,s,4] x, float[b,t,4] past) => (float y)
        { y = Concat<axis = 1>(past, x)  z = Concat<axis = -2>(y, y, x)  n = Shape(z)  m = Size(z) }""",
        [{"b": 2, "s": 3, "t": 4}, {"b": 1, "s": 1, "t": 0}, {"b": 2, "s": 5, "t": 1}],
    ),
    "arithmetic on dimensions": (
        """g (float[b,s] x) => (int32 y)
        <int64 zero = {0}, int64 one = {1}, int64 four = {4}, int64 three = {3}, int64 m1 = {-1}>
        { shape = Shape(x)  b = Gather(shape, zero)  s = Gather(shape, one)  a = Add(s, three)
          c = Div(a, four)  d = Mul(c, four)  pad = Sub(d, s)  rest = Mod(s, four)  e = Neg(pad)
          left = Div(pad, three)  f = Min(b, s)  h = Max(b, s, four)  d1 = Add(d, one)  less = Less(s, d1)
          eq = Equal(s, m1)  ge = GreaterOrEqual(d, s)  pick = Where(eq, four, s)  i = Sub(s, three)
          j = Div(i, four)  k = Abs(i)  l = Not(eq)  y = Cast<to = 6>(pad)
          p = ReduceProd<keepdims = 0>(shape)  q = ReduceSum(shape)  r = ReduceMax<keepdims = 0>(shape)
          bb = And(eq, less)  cc = Or(ge, less) }""",
        WITH_ZERO,
    ),
    "expansion": (
        """g (float[b,s] x, float[4,1,1] w) => (float y)
        <int64[2] tail = {1, 1}, int64[3] m = {-1, -1, -1}, int64[1] four = {4}>
        { shape = Shape(x)  target = Concat<axis = 0>(four, shape)  y = Expand(x, target)
          z = Expand(w, target)  ones = ConstantOfShape<value = int64[1] {1}>(target)
          eq = Equal(target, m)  chosen = Where(eq, m, target)  t = Tile(x, tail)  v = Add(x, w) }""",
        WITH_ZERO,
    ),
    "range": (
        """g (float[b,s] x) => (int64 y)
        <int64 zero = {0}, int64 one = {1}, int64 two = {2}, int64 m1 = {-1}, int64[1] ax = {0}>
        { shape = Shape(x)  s = Gather(shape, one)  b = Gather(shape, zero)  y = Range(zero, s, one)
          z = Range(one, s, two)  d = Range(s, zero, m1)  e = Range(b, s, one)  u = Unsqueeze(y, ax)
          c = CastLike(u, x)  n = Shape(u) }""",
        WITH_ZERO,
    ),
    "reductions": (
        """g (float[b,s,4] x) => (float y)
        <int64[1] a1 = {1}, int64[2] a2 = {-1, 0}>
        { y = ReduceMean(x, a1)  z = ReduceSum<keepdims = 0>(x, a2)  a = ReduceMax<keepdims = 0>(x)
          c = ArgMax<axis = 1>(x)  d = ArgMin<axis = -1, keepdims = 0>(x)  e = ReduceL2(x)
          f = ReduceSum<noop_with_empty_axes = 1>(x)  h = CumSum(x, a1) }""",
        BS,
    ),
    "gathers": (
        """g (float[b,s,4] x, int64[b,t] ids, float[10,6] table) => (float y)
        <int64[2,1] rows = {0, 0}, int64 zero = {0}, int64[1] zeros = {0}>
        { y = Gather(table, ids)  z = Gather<axis = 1>(x, zero)  a = Gather<axis = -1>(x, zeros)
          c = GatherND(x, rows)  d = GatherElements(ids, ids)  e = ScatterElements(ids, ids, ids)
          depth = Shape<start = 1, end = 2>(x)  values = Shape<end = 2>(x)  f = OneHot(ids, depth, values)
          h = Shape<start = -2>(x) }""",
        [{"b": 2, "s": 3, "t": 4}, {"b": 2, "s": 5, "t": 1}],
    ),
    "recurrent": (
        """g (float[s,b,3] x, float[2,20,3] w, float[2,20,5] r) => (float y)
        { y, h, c = LSTM<hidden_size = 5, direction = "bidirectional">(x, w, r) n = Shape(h) }""",
        BS,
    ),
    "normalisation": (
        """g (float[b,s,4] x, float[4] w, float[s] v) => (float y)
        { y, mean, inv = LayerNormalization<axis = -1>(x, w, w)  z = InstanceNormalization(x, v, v)
          d, mask = Dropout(y)  n = LogSoftmax<axis = 1>(z)  c = Clip(n)  e = IsNaN(c) }""",
        BS,
    ),
    "quantisation": (
        """g (float[b,s,4] x) => (float y)
        <float one = {0.5}, int8 zp = {1}, int8[4,6] w = {1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6,1,2,3,4,5,6}>
        { q = QuantizeLinear(x, one, zp)  y = DequantizeLinear(q, one, zp)  u, s, z = DynamicQuantizeLinear(x)
          m = MatMulInteger(u, w, z)  p = QuantizeLinear(x, one) }""",
        BS,
    ),
    "einsum": (
        """g (float[b,s,4] x, float[b,t,4] z) => (float y)
        { y = Einsum<equation = "bid,bjd->bij">(x, z)  a = Einsum<equation = "...d->d...">(x)
          c = Einsum<equation = "bij,bkj">(x, z)  d = Einsum<equation = "b...d,b...d->b...">(x, x) }""",
        [{"b": 2, "s": 3, "t": 4}, {"b": 1, "s": 1, "t": 1}],
    ),
    "squeezing": (
        """g (float[b,1,s,1] x) => (float y)
        <int64[1] one = {1}, int64[2] both = {1, -1}, int64[2] ends = {0, -1}>
        { y = Squeeze(x, both)  z = Squeeze(x, one)  a = Unsqueeze(y, ends)  n = Shape(a)
          m = Squeeze(n) }""",
        WITH_ZERO,
    ),
    "windows": (
        """g (float[b,s,8] x) => (float y)
        <int64[6] none = {0, 0, 0, 0, 0, 0}, int64[1] z = {0}, int64[1] one = {1}, int64[1] two = {2},
         int64[1] four = {4}, int64[1] three = {3}, int64[1] eight = {8}, int64[3] zeros = {0, 0, 0}>
        { shape = Shape(x)  b = Slice(shape, z, one)  s = Slice(shape, one, two)  a = Add(s, three)
          d = Div(a, four)  whole = Mul(d, four)  pad = Sub(whole, s)
          pads = Concat<axis = 0>(zeros, z, pad, z)  padded = Pad(x, pads)
          target = Concat<axis = 0>(b, d, four, eight)  windows = Reshape(padded, target)
          turned = Transpose<perm = [0, 2, 1, 3]>(windows)  y = ReduceMax<keepdims = 0>(turned, two) }""",
        BS,
    ),
    "pads the way torch spells them": (
        """g (float[b,s] x, int64 n) => (float y)
        <int64[1] two = {2}, int64[2] pairs = {-1, 2}, int64[1] last = {-1}, int64[1] first = {0},
         int64[1] start = {-1}, int64[1] stop = {-9223372036854775807}, int64[1] step = {-1},
         int64[2] amount = {1, 3}>
        { zeros = ConstantOfShape<value = int64[1] {0}>(two)  all = Concat<axis = 0>(amount, zeros)
          rows = Reshape(all, pairs)  turned = Slice(rows, start, stop, first, step)
          columns = Transpose<perm = [1, 0]>(turned)  flat = Reshape(columns, last)
          pads = Cast<to = 7>(flat)  y = Pad(x, pads) }""",
        BS,
    ),
    "convolution": (
        """g (float[n,3,h,w] x, float[8,3,3,3] k, float[6,1,5,5] d, float[8,2,4,4] t) => (float y)
        { y = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, k)  a = Conv<auto_pad = "SAME_UPPER", strides = [2, 3]>(x, k)
          c = Conv<auto_pad = "VALID", dilations = [2, 1]>(x, k)  e = Conv<group = 3, pads = [2, 2, 2, 2]>(x, d)
          f = ConvTranspose<strides = [2, 2], pads = [1, 1, 1, 1]>(y, t)
          g1 = ConvTranspose<strides = [3, 2], output_padding = [1, 0], group = 2>(y, t)
          g2 = ConvTranspose<auto_pad = "SAME_LOWER", strides = [2, 2]>(y, t)
          p = MaxPool<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(y)
          q = AveragePool<kernel_shape = [2, 2], auto_pad = "SAME_UPPER", strides = [2, 2]>(y)
          r = GlobalAveragePool(y)  s, i = MaxPool<kernel_shape = [2, 2], dilations = [2, 1]>(y)
          u = MaxPool<kernel_shape = [3, 3], ceil_mode = 1>(y) }""",
        IMAGES,
    ),
    "sizes that only windows keep from being negative": (
        """g (float[b,4,s] x, float[6,4,5] w) => (float[] y)
        <int64[1] rest = {-1}, int64[3] minus = {-1, -1, -1}, int64[3] ones = {1, 1, 1},
         int64[1] none = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}>
        { c = Conv<strides = [2]>(x, w)  shape = Shape(c)  b = Slice(shape, none, one)
          length = Slice(shape, two, three)  target = Concat<axis = 0>(b, length, rest)
          turned = Transpose<perm = [0, 2, 1]>(c)  y = Reshape(turned, target)
          eq = Equal(shape, minus)  pick = Where(eq, ones, shape)  e = Expand(c, pick)
          half = Div(length, two) }""",
        [{"b": 2, "s": 5}, {"b": 1, "s": 12}],
    ),
    "images": (
        """g (float[n,4,h,w] x) => (float y)
        <float[0] none = {}, float[4] twice = {1, 1, 2, 3}, float[4] half = {1, 1, 0.5, 0.25},
         int64[4] sizes = {0, 0, 20, 30}, int64[1] z = {0}, int64[1] two = {2}, int64[2] hw = {20, 30}>
        { y = Resize<mode = "nearest">(x, none, twice)  a = Resize<mode = "linear">(x, none, half)
          shape = Shape(x)  head = Slice(shape, z, two)  target = Concat<axis = 0>(head, hw)
          c = Resize<mode = "nearest">(x, none, none, target)  d = DepthToSpace<blocksize = 2>(x)
          e = SpaceToDepth<blocksize = 2>(y) }""",
        [{"n": 1, "h": 8, "w": 16}, {"n": 2, "h": 4, "w": 10}],
    ),
}
"""Models all of whose dimensions follow from those of the inputs."""


@pytest.mark.parametrize("name", CLOSED)
def test_every_value_at_every_size(name: str) -> None:
    text, runs = CLOSED[name]
    check = check_runs(parse(text), runs)
    assert not check.faults, "\n".join(check.faults)
    assert check.checked
    assert check.unknown == 0


OPEN = {
    "data-dependent sizes": (
        """g (float[b,s] x, bool[s] m) => (float y)
        { i = NonZero(x)  t = Transpose(i)  c = Compress<axis = 1>(x, m)
          u, ui, uv, uc = Unique(x)  y = Relu(c) }""",
        BS,
    ),
    "ambiguous broadcast": (
        """g (float[b,s] x, float[t,1] z, float[s] v) => (float y)
        { a = Add(x, z)  c = Mul(a, v)  d = Add(z, x)  y = Sub(c, d) }""",
        [{"b": 1, "s": 3, "t": 4}, {"b": 4, "s": 1, "t": 1}, {"b": 2, "s": 2, "t": 2}],
    ),
    "a target that the caller gives": (
        """g (float[4,s] x, int64[1] n) => (float y)
        <int64[1] rest = {-1}>
        { target = Concat<axis = 0>(n, rest)  one = Abs(n)  y = Reshape(x, rest)  z = ConstantOfShape(one) }""",
        [{"s": 3}, {"s": 1}],
    ),
    "pools that round up": (
        """g (float[n,4,h,w] x) => (float y)
        { y = MaxPool<kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1>(x)
          z = AveragePool<kernel_shape = [2, 2], strides = [3, 3], ceil_mode = 1, pads = [0, 0, 1, 1]>(x) }""",
        IMAGES,
    ),
    "top k": (
        """g (float[b,s] x) => (float y)
        <int64[1] k = {1}, int64[1] z = {0}, int64[1] one = {1}, int64[1] two = {2}>
        { y, i = TopK(x, k)  shape = Shape(x)  s = Slice(shape, one, two)  m = Min(s, two)  a, c = TopK(x, m) }""",
        BS,
    ),
}
"""Models with dimensions that nobody can know: no fact may be wrong."""


@pytest.mark.parametrize("name", OPEN)
def test_what_is_known_is_true(name: str) -> None:
    text, runs = OPEN[name]
    check = check_runs(parse(text), runs)
    assert not check.faults, "\n".join(check.faults)
    assert check.checked


def test_a_shape_chain_gives_the_symbols_back() -> None:
    text, _ = CLOSED["heads"]
    model = parse(text)
    facts = Facts(model)
    assert facts.describe(model.graph.outputs[0]) == "float32[b,s,24]"
    by_name = {node.outputs[0].name: node.outputs[0] for node in model.graph}
    assert facts.describe(by_name["scores"]) == "float32[b,4,s,s]"
    content = facts.content(by_name["target"])
    assert content == (*(facts.shape(model.graph.inputs[0]) or ())[:2], 4, -1)


def test_sizes_of_tensors_that_may_not_be_computed_prove_nothing() -> None:
    model = parse("""g (float[4,s] x, float[4,4,s] z, float[6,4,5] w, bool go) => (float[] y)
      <int64[1] one = {1}, int64[1] two = {2}, int64[1] four = {4}, int64[1] rest = {-1}>
      { k = If(go) <then_branch = t () => (int64[] n) { c = Conv(z, w) shape = Shape(c) n = ReduceMax<keepdims = 0>(shape) },
          else_branch = e () => (int64[] m) { m = Size(x) }>
        shape2 = Shape(x)  s = Slice(shape2, one, two)  less = Sub(s, four)
        target = Concat<axis = 0>(less, rest)  y = Reshape(x, target) }""")
    facts = Facts(model)
    # Where s is 3 the target is [-1, -1], which is an error, but where a model had [s - 4] alone, -1 would be the rest.
    shape = facts.shape(model.graph.outputs[0])
    assert shape is not None
    assert all(is_unknown(dim) for dim in shape)
