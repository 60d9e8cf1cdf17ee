"""Facts of onnxruntime's own operators against runs of them."""

from __future__ import annotations

import pytest

from onnxopt.analysis.facts import Facts

from .harness import check_runs, named, parse

RUNS = [{"b": 2, "s": 3}, {"b": 1, "s": 1}, {"b": 3, "s": 6}]

MODELS = {
    "activations": """g (float[b,s,8] x, float[8] bias) => (float[] y)
      { y = com.microsoft.Gelu(x)  a = com.microsoft.FastGelu(x)  c = com.microsoft.QuickGelu(x)
        d = com.microsoft.BiasGelu(x, bias)  e = com.microsoft.FastGelu(x, bias) }""",
    "products": """g (float[b,s,8] x, float[8,6] w, float[6,8] v) => (float[] y)
      { y = com.microsoft.FusedMatMul(x, w)  a = com.microsoft.FusedMatMul<transB = 1>(x, v)
        c = com.microsoft.FusedMatMul<transA = 1, alpha = 0.5>(x, x) }""",
    "convolutions": """g (float[b,4,s,10] x, float[6,4,3,3] w, float[6] bias) => (float[] y)
      { y = com.microsoft.FusedConv<activation = "Relu", pads = [1, 1, 1, 1], strides = [2, 1]>(x, w, bias) }""",
    "gemm": """g (float[s,8] x, float[6,8] w, float[6] c) => (float[] y)
      { y = com.microsoft.FusedGemm<transB = 1, activation = "Relu">(x, w, c) }""",
    "skips": """g (float[b,s,8] x, float[b,s,8] z, float[8] w) => (float[] y)
      { y, m, i, t = com.microsoft.SkipLayerNormalization(x, z, w, w)
        a, m2, i2, u = com.microsoft.SkipSimplifiedLayerNormalization(x, z, w)
        c = SimplifiedLayerNormalization<axis = -1>(x, w) }""",
    "attention": """g (float[b,s,8] x, float[8,24] w, float[24] bias) => (float[] y)
      { y = com.microsoft.Attention<num_heads = 2>(x, w, bias)
        m = com.microsoft.MultiHeadAttention<num_heads = 2>(x, x, x) }""",
    "quantised": """g (float[b,s,8] x) => (float[] y)
      <int8[8,4] w = {1,2,3,4,5,6,7,8,-1,-2,-3,-4,-5,-6,-7,-8,1,2,3,4,5,6,7,8,-1,-2,-3,-4,-5,-6,-7,-8},
       float scale = {0.1}, int8 zero = {0}, uint8 middle = {128}>
      { y = com.microsoft.DynamicQuantizeMatMul(x, w, scale, zero)
        q = QuantizeLinear(x, scale, middle)  s = com.microsoft.QLinearAdd(q, scale, middle, q, scale, middle, scale, middle)
        p = com.microsoft.QLinearMul(q, scale, middle, q, scale, middle, scale, middle)
        f = com.microsoft.MatMulIntegerToFloat(q, w, scale, scale, middle, zero)
        sg = com.microsoft.QLinearSigmoid(q, scale, middle, scale, middle) }""",
    "embeddings": """g (int32[b,s] ids, int32[b,s] segments, float[9,8] words, float[9,8] places, float[2,8] parts, float[8] w)
      => (float[] y)
      { y, mask = com.microsoft.EmbedLayerNormalization(ids, segments, words, places, parts, w, w) }""",
}


@pytest.mark.parametrize("name", MODELS)
def test_contrib_operators(name: str) -> None:
    model = parse(MODELS[name])
    check = check_runs(model, RUNS)
    assert not check.faults, "\n".join(check.faults)
    assert check.checked


def test_packed_weights() -> None:
    model = parse("""g (float[b,s,32] x, uint8[5,1,16] w, float[5] scale) => (float[] y)
      { y = com.microsoft.MatMulNBits<K = 32, N = 5, bits = 4, block_size = 32>(x, w, scale) }""")
    check = check_runs(model, RUNS)
    assert not check.faults
    assert Facts(model).describe(named(model)["y"]) == "float32[b,s,5]"


def test_group_query_attention_has_a_cache_of_unknown_length() -> None:
    model = parse("""g (float[b,s,16] q, float[b,s,8] k, float[b,s,8] v, float[b,2,p,4] pk, float[b,2,p,4] pv,
      int32[b] lens, int32 total) => (float[] y)
      { y, nk, nv = com.microsoft.GroupQueryAttention<num_heads = 4, kv_num_heads = 2>(q, k, v, pk, pv, lens, total) }""")
    facts = Facts(model)
    values = named(model)
    assert facts.describe(values["y"]) == "float32[b,s,16]"
    assert facts.describe(values["nk"]) == "float32[b,2,?,4]"
