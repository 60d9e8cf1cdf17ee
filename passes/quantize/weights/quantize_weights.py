"""Stores the weights of matrix products as integers, which kernels read in place of floats.

x @ w = x @ DequantizeLinear(w_q, s, z) up to rounding. onnxruntime's CPU provider fuses the right side into
MatMulNBits, from the extended level on. Seen in the graphs it saves (1.32), for each of int4, uint4, int8 and
uint8, by block, channel and tensor, of float32 and float16 (between Casts), with zero points and without:

- Blocks run along K (axis 0 of [K, N]) and hold a power of two of rows, 16 or more; the last may be shorter.
- Nothing else may read the DequantizeLinear, the integers or the scales; two products that share them are
  computed in float. So a weight with several readers is stored for each, and ``deduplicate-initializers``
  leaves such constants alone.
- In a body, the integers must be initializers of that body. The model does not load where they lie outside.
- A weight behind a Transpose, or of a Gemm with transB, stays float; it is stored transposed instead. A Gemm fuses
  when alpha and beta are 1, transA is 0 and the bias is a vector of N.

What is fused so rounds its inputs to 8 bits (``session.qdq_matmulnbits_accuracy_level`` is 4 unless set: about 45 dB;
with 0 they stay float). Other readers of a weight, such as the Gather of a tied embedding, go on reading it in float.

Declines where DequantizeLinear at the model's opset does not take the form, for weights in functions (which
other models may share), and where the integers would not be smaller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import onnx_ir as ir

from onnxopt.io.carry import pinned_names
from onnxopt.pipeline.base import Context, Pass
from onnxopt.quantization.blocks import Fit
from onnxopt.quantization.hmse import SearchedRange
from onnxopt.quantization.hqq import HalfQuadratic
from onnxopt.rewrite.editor import Rewrite, where
from onnxopt.rewrite.scopes import differentiates
from onnxopt.rewrite.uses import use_count

from .._marking import INTEGER
from .._selection import Selection
from . import _calibrated
from ._columns import Columns
from ._products import Product, find
from ._rectified import set_apart
from ._request import CALIBRATED, Request, read
from ._stored import Job, Slot, with_fit
from ._write import integer_weight, product_of

RULE = "quantize-weights"
_IR_WITH_INT4 = 10
_FITS: dict[str, Fit] = {"hqq": HalfQuadratic(), "mse": SearchedRange()}


@dataclass(frozen=True)
class QuantizeWeights(Pass):
    """Stores constant weights of MatMul and Gemm as integers, by block, channel or tensor.

    Attributes:
        type: ``s4``, ``u4``, ``s8``, ``u8`` or ``fp8`` (E4M3, which no kernel reads: it is read back as floats).
        block: How many rows of K share a scale (a power of two from 16 up), ``channel`` or ``tensor``.
        method: ``rtn`` (round to nearest), ``mse`` (narrows ranges), ``hqq`` (without data, spares outliers), or with
            calibration data ``hmse`` and ``gptq``.
        symmetric: Whether 0 is stored as the middle of the type; zero points cost little and lessen the error.
        act_order: Whether ``gptq`` rounds the rows of the largest inputs first, on grids made before;
            mostly a little closer.
        include: Nodes (by name, or by that of a result or weight) and operators to take, patterns of the shell, ``;``
            between; all by default.
        exclude: Those to leave, likewise.

    Example: y = MatMul(x, w) -> y = MatMul(x, DequantizeLinear<axis=0, block_size=32>(w in int4, scales))
    """

    name: ClassVar[str] = RULE
    summary: ClassVar[str] = "Store the weights of matrix products in 4 or 8 bits."
    exact: ClassVar[bool] = False
    lossy: ClassVar[bool] = True
    type: str = "s4"
    block: str = "32"
    method: str = "rtn"
    symmetric: bool = True
    act_order: bool = True
    include: str = ""
    exclude: str = ""

    def run(self, context: Context) -> int:
        """Replaces the weights, or some of them.

        Raises:
            UsageError: An option is none there is, a name is none of the model's, or calibration data is missing.
        """
        request = read(self.type, self.block, self.method, self.symmetric)
        if self.method in CALIBRATED:
            _calibrated.needed(context, self.method)
        selection = Selection.of(self.include, self.exclude)
        scopes = context.editor.scopes
        graphs = scopes.graphs()
        selection.check(node for graph in graphs for node in graph)
        if differentiates(context.model):
            context.stats.note(
                f"{RULE}: the model differentiates itself, its weights stay as they are"
            )
            return 0
        nodes = [node for graph in graphs for node in graph if selection.takes(node)]
        work = list(_jobs(context, request, _products(context, request, nodes)))
        if self.method in CALIBRATED:
            work = self._ahead(context, work)
        return _commit(context, request, work)

    def _ahead(
        self, context: Context, work: list[tuple[Product, Job]]
    ) -> list[tuple[Product, Job]]:
        """Rounds what needs data; returns what that was given for."""
        missed = dict(_calibrated.compute(context, self.method, self.act_order, work))
        for product, job in work:
            if job.done is None:
                context.stats.decline(RULE, where(product.node), missed[job])
        return [(product, job) for product, job in work if job.done is not None]


def _products(context: Context, request: Request, nodes: list[ir.Node]) -> Iterator[Product]:
    """The products that can be changed; the others are declined."""
    old: Counter[int] = Counter()
    version = context.model.opset_imports.get("", context.model.opset_imports.get("ai.onnx", 0))
    for node in nodes:
        found = find(context.facts, node)
        if found is None:
            continue
        reason = found if isinstance(found, str) else ""
        if isinstance(found, Product):
            least = request.opset(found.tensor.dtype)
            reason = _refusal(context, request, found)
            if not reason and version < least:
                old[least] += 1
                reason = f"opset {version} is too old, it takes {least}"
        if reason:
            context.stats.decline(RULE, where(node), f"{node.op_type}: {reason}")
        elif isinstance(found, Product):
            yield found
    for least, count in old.items():
        context.stats.note(
            f"{RULE}: {count} weight{'s stay' if count > 1 else ' stays'} in float, since opset {version} has no "
            f"DequantizeLinear for them; `--opset {least}` converts the model"
        )


def _refusal(context: Context, request: Request, product: Product) -> str:
    """Why a product is left alone, or ''."""
    scopes, graph = context.editor.scopes, product.node.graph
    if isinstance(graph, ir.Function) or graph is None or scopes.of(graph).function is not None:
        return "weights in functions stay as they are; inline-functions{all=true} brings them out"
    if request.method in CALIBRATED and graph is not context.model.graph:
        return f"calibration does not see inside bodies, which {request.method} needs"
    return ""


def _jobs(
    context: Context, request: Request, products: Iterator[Product]
) -> Iterator[tuple[Product, Job]]:
    """The work on each weight, done once for all its readers that turn it the same way."""
    made: dict[tuple[ir.Value, bool], Job] = {}
    slot = Slot()
    rounding = with_fit(_FITS.get(request.method))
    for product in products:
        key = (product.value, product.transposed)
        if key not in made:
            columns = Columns(product.tensor, product.transposed)
            scheme = request.scheme(product.tensor.dtype)
            made[key] = Job(product.value.name or "", columns, scheme, rounding, slot)
        if made[key].nbytes >= product.tensor.nbytes:
            reason = f"{product.node.op_type}: the integers and their scales would take no less"
            context.stats.decline(RULE, where(product.node), reason)
            continue
        yield product, made[key]


def _commit(context: Context, request: Request, work: list[tuple[Product, Job]]) -> int:
    """Changes the graph; returns how many products were changed."""
    pinned = pinned_names(context.model)
    readers = Counter(job for _, job in work)
    changed = 0
    made: list[ir.Node] = []
    for product, job in work:
        job.spread = request.whole and readers[job] > 1
        build = context.editor.builder(product.node)
        result = integer_weight(build, product, job)
        rewrite = Rewrite(
            RULE,
            product.node,
            [(product.node.outputs[0], result)],
            [product.node],
            build.nodes,
            build.constants,
            settled=True,  # What it adds is smaller than the weight, even where others go on reading that.
        )
        if context.editor.commit(rewrite) is None:
            build.discard()
            continue
        changed += 1
        made.append(product_of(result))
        _drop(product.value, pinned)
    _mark(context, made)
    for node in made:
        set_apart(context, node)
    if changed and request.qtype.bits < 8:
        context.model.ir_version = max(context.model.ir_version, _IR_WITH_INT4)
    return changed


def _mark(context: Context, made: list[ir.Node]) -> None:
    """Notes which products read integers; a runtime's graph is searched for their names."""
    seen = Counter(node.name for node in context.model.graph.all_nodes())
    for node in made:
        node.metadata_props[INTEGER] = "weight-only"
        if not node.name or seen[node.name] > 1:
            node.name = context.editor.names.fresh(node.name or node.op_type)


def _drop(value: ir.Value, pinned: frozenset[str]) -> None:
    """Takes out a weight that nothing reads any more."""
    graph, name = value.graph, value.name
    if use_count(value) or value.is_graph_output() or graph is None or name is None:
        return
    if name not in pinned and graph.initializers.get(name) is value:
        graph.initializers.pop(name)
