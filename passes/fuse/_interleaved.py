"""The rotation of neighbouring columns by cosine and sine, read off its formulas.

Columns ``2i`` and ``2i + 1`` of the last axis are a point that is turned by an angle. It is written as ``x * cos +
rotate(x) * sin`` with ``rotate([a, b, …]) = [-b, a, …]`` and every cosine and sine twice (GPT-J, CodeGen, RoFormer),
or for even columns ``a`` and odd columns ``b`` as ``[a * cos - b * sin, a * sin + b * cos, …]`` (the original Llama).
Data come with the heads before the sequence or after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.dims import Dim
from onnxopt.rewrite import Builder, Declined, Match, Op, one_of, op

from .._forms import SliceRange, build_slice, nonnegative_axes, reshape_target
from ._columns import Columns, columns_of, is_pair_axis, member_of
from ._near import ACTIVATION_TYPES
from ._waves import Wave, settled_shape, unpaired


def _laid_side_by_side(first: Op, second: Op) -> Op:
    return op.Reshape(
        op.Concat(
            op.Unsqueeze(first, ..., bind="first"),
            op.Unsqueeze(second, ..., bind="second"),
            bind="concat",
        ),
        ...,
        bind="laid",
    )


_NEGATED = one_of(op.Unsqueeze(op.Neg("odd"), ..., bind="minus"), op.Neg("odd_member"))
_TURNED = op.Reshape(op.Concat(_NEGATED, "even_member", bind="concat"), ..., bind="laid")
BY_TURNING = op.Add(op.Mul("x", "cos"), op.Mul(_TURNED, "sin"))
"""The pattern ``x * cos + rotate(x) * sin``."""
BY_COLUMNS = _laid_side_by_side(
    op.Sub(op.Mul("even", "cos"), op.Mul("odd", "sin")),
    op.Add(op.Mul("even", "sin"), op.Mul("odd", "cos")),
)
"""The pattern ``[even * cos - odd * sin, even * sin + odd * cos]``, laid out side by side."""


@dataclass(frozen=True)
class Interleaved:
    """A rotation of neighbouring columns.

    Attributes:
        source: What is rotated, or part of its last axis; of rank 5 where that axis holds pairs.
        first: The first column that is rotated.
        dims: The shape of what is rotated, four dims.
        sequence: The axis of the sequence, 1 or 2; the other one is that of the heads.
        waves: The cosine and the sine.
        batch: How many sequences the waves are for: 1 or that of the data.
    """

    source: ir.Value
    first: int
    dims: tuple[Dim, ...]
    sequence: int
    waves: tuple[Wave, Wave]
    batch: Dim

    @property
    def width(self) -> int:
        """How many columns are rotated."""
        width = self.dims[3]
        assert isinstance(width, int)
        return width

    @property
    def heads(self) -> int:
        """The number of heads.

        Raises:
            Declined: It is not known.
        """
        heads = self.dims[3 - self.sequence]
        if not isinstance(heads, int):
            raise Declined("the number of heads is not known")
        return heads


def interleaved(m: Match) -> Interleaved:
    """Reads the rotation that `BY_TURNING` or `BY_COLUMNS` matched.

    Raises:
        Declined: The columns are not neighbours of one value, cosine and sine do not belong to positions alone, or
            the operator lacks the element type.
    """
    turning = m.has("x")
    even, odd = _turned_columns(m) if turning else (_columns(m, "even"), _columns(m, "odd"))
    whole = Columns(even.source, even.first, 1, 2 * even.count)
    if odd != Columns(even.source, even.first + 1, 2, even.count) or even.step != 2:
        raise Declined("the columns are not neighbours of one value")
    if turning and columns_of(m, m.value("x")) != whole:
        raise Declined("the columns are not those of the data")
    if m.dtype("cos") not in ACTIVATION_TYPES:
        raise Declined("RotaryEmbedding works in single or half precision")
    dims = (*m.shape(even.source)[:3], whole.count)
    cos, sin = m.value("cos"), m.value("sin")
    sequence, batch = _positions(m, cos, dims, turning)
    if _positions(m, sin, dims, turning) != (sequence, batch):
        raise Declined("cosine and sine are for different positions")
    apart = () if turning else ("first", "second")
    if m.shape(m.node("concat").outputs[0]) != (*dims[:3], even.count, 2) or any(
        nonnegative_axes(m, m.node(name)) != [4] for name in apart
    ):
        raise Declined("the columns are not laid side by side")
    if m.shape(m.node("laid").outputs[0]) != dims:
        raise Declined("the columns are laid out otherwise than they were")
    waves = (unpaired(m, cos), unpaired(m, sin)) if turning else (Wave(cos), Wave(sin))
    return Interleaved(even.source, even.first, dims, sequence, waves, batch)


def _columns(m: Match, name: str) -> Columns:
    value = m.value(name)
    found = columns_of(m, value) if m.rank(value) == 4 else None
    if found is None or (m.rank(found.source) != 4 and not is_pair_axis(m, found.source)):
        raise Declined("the data are not of rank 4 and known width")
    return found


def _turned_columns(m: Match) -> tuple[Columns, Columns]:
    if m.rank("x") != 4:
        raise Declined("the data are not of rank 4 and known width")
    if m.has("minus"):
        odd: Columns | None = _columns(m, "odd")
    else:
        odd = member_of(m, m.value("odd_member"))
    even = member_of(m, m.value("even_member"))
    if even is None or odd is None:
        raise Declined("the columns are not laid side by side")
    return even, odd


def _positions(m: Match, wave: ir.Value, dims: tuple[Dim, ...], doubled: bool) -> tuple[int, Dim]:
    """Returns the axis of the sequence and the number of sequences that a cosine or sine is for."""
    shape = settled_shape(m, wave)
    width = dims[3]
    assert isinstance(width, int)
    if len(shape) > 4 or not shape or shape[-1] != (width if doubled else width // 2):
        raise Declined("cosine or sine are not as wide as the data")
    padded: list[Dim] = [*[1] * (4 - len(shape)), *shape]
    batch, one, two, _ = padded
    if batch not in (1, dims[0]):
        raise Declined("cosine or sine are not for each sequence")
    if one == 1 and two == dims[2]:
        return 2, batch
    if two == 1 and one == dims[1]:
        return 1, batch
    raise Declined("cosine or sine are not for each position of the sequence alone")


def build_data(m: Match, build: Builder, found: Interleaved) -> ir.Value:
    """Builds the operator's input: heads before the sequence apart, heads after it joined to rank 3."""
    value = found.source
    if m.shape(value)[3:] != (found.width,) and not is_pair_axis(m, value):
        part = SliceRange(3, found.first, found.first + found.width, 1)
        value = build_slice(m, build, value, [part])
    if found.sequence == 1:
        return build.op("Reshape", value, build.ints("joined", [0, 0, found.heads * found.width]))
    if is_pair_axis(m, value):
        return build.op("Reshape", value, build.ints("whole", [0, 0, 0, found.width]))
    return value


def build_result(build: Builder, found: Interleaved, made: ir.Value) -> ir.Value:
    """Builds the rotated data of the operator's output."""
    if found.sequence == 2:
        return made
    return build.op("Reshape", made, build.ints("parted", [0, 0, found.heads, found.width]))


def build_rows(m: Match, build: Builder, found: Interleaved, wave: Wave) -> ir.Value:
    """Builds a cosine or sine as ``[sequences, positions, width / 2]``.

    Raises:
        Declined: It cannot be brought into this form.
    """
    half = found.width // 2
    value = wave.build(m, build, half)
    if found.batch == 1:
        return build.op("Reshape", value, build.ints("rows", [1, -1, half]))
    target = (found.batch, found.dims[found.sequence], half)
    shape = m.facts.shape(value)
    if shape == target:
        return value
    spelt = None if shape is None else reshape_target(shape, target)
    if spelt is None:
        raise Declined("cosine or sine cannot be brought into the form of the operator")
    return build.op("Reshape", value, build.ints("rows", spelt))
