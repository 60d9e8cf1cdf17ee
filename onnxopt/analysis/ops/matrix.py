"""Matrix products: MatMul, Gemm, Einsum and their integer forms."""

from __future__ import annotations

from onnxopt.analysis.context import Context, Shape, Unknown, infers
from onnxopt.analysis.dims import Dim
from onnxopt.analysis.ops.common import INT32, broadcast_shapes


def matmul_shape(a: Shape, b: Shape) -> Shape:
    """The shape of ``numpy.matmul(a, b)``.

    Raises:
        Unknown: One of them is a scalar.
    """
    if not a or not b:
        raise Unknown
    rows = () if len(a) == 1 else (a[-2],)
    columns = () if len(b) == 1 else (b[-1],)
    if len(a) <= 2 and len(b) <= 2:
        return rows + columns
    return broadcast_shapes([a[:-2], b[:-2]]) + rows + columns


@infers("MatMul")
def infer_matmul(context: Context) -> None:
    """``numpy.matmul``."""
    context.output(0, context.dtype(0) or context.dtype(1))
    context.out.shape = matmul_shape(context.known_shape(0), context.known_shape(1))


@infers("MatMulInteger")
def infer_matmul_integer(context: Context) -> None:
    """``numpy.matmul`` of 8-bit integers, accumulated in 32 bits."""
    context.output(0, INT32)
    context.out.shape = matmul_shape(context.known_shape(0), context.known_shape(1))


@infers("QLinearMatMul")
def infer_qlinear_matmul(context: Context) -> None:
    """``numpy.matmul`` of quantised matrices; the type is that of the output's zero point."""
    context.output(0, context.dtype(7))
    context.out.shape = matmul_shape(context.known_shape(0), context.known_shape(3))


@infers("Gemm")
def infer_gemm(context: Context) -> None:
    """``alpha * A' * B' + beta * C`` of matrices."""
    context.output(0, context.dtype(0) or context.dtype(1))
    context.out.shape = gemm_shape(context, context.known_shape(0), context.known_shape(1))


def gemm_shape(context: Context, a: Shape, b: Shape) -> Shape:
    """The shape of a product of two matrices that ``transA`` and ``transB`` may transpose.

    Raises:
        Unknown: One of them is no matrix.
    """
    if len(a) != 2 or len(b) != 2:
        raise Unknown
    rows = a[1] if context.integer("transA", 0) else a[0]
    columns = b[0] if context.integer("transB", 0) else b[1]
    return rows, columns


@infers("Einsum")
def infer_einsum(context: Context) -> None:
    """The dimensions that the equation's output names, or the labels that occur once."""
    context.output(0, context.dtype(0))
    equation = context.string("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(context.inputs):
        raise Unknown
    labels: dict[str, list[Dim]] = {}
    ellipses: list[Shape] = []
    for index, term in enumerate(terms):
        _bind(term, context.known_shape(index), labels, ellipses)
    if not arrow:
        once = sorted(label for label in labels if left.count(label) == 1)
        right = ("..." if ellipses else "") + "".join(once)
    before, dots, after = right.partition("...")
    middle = broadcast_shapes(ellipses) if dots and ellipses else ()
    context.out.shape = _named(before, labels) + middle + _named(after, labels)


def _bind(term: str, shape: Shape, labels: dict[str, list[Dim]], ellipses: list[Shape]) -> None:
    """Notes which dimensions the labels of one operand stand for."""
    before, dots, after = term.partition("...")
    hidden = len(shape) - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise Unknown
    if dots:
        ellipses.append(shape[len(before) : len(before) + hidden])
    dims = shape[: len(before)] + shape[len(before) + hidden :]
    for label, dim in zip(before + after, dims, strict=True):
        labels.setdefault(label, []).append(dim)


def _named(names: str, labels: dict[str, list[Dim]]) -> Shape:
    if any(name not in labels for name in names):
        raise Unknown
    # A dimension of 1 may broadcast against another one under the same label.
    return tuple(broadcast_shapes([(dim,) for dim in labels[name]])[0] for name in names)
