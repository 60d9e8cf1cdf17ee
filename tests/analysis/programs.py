"""Random models made of shape arithmetic: what exporters write around dynamic dimensions, in any order."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import helper

END = 2**63 - 1


class Program:
    """A model under construction.

    Attributes:
        ranks: The float tensors, with their ranks.
        vectors: The integer vectors, with their lengths.
        scalars: The integer scalars.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.ranks: dict[str, int] = {"x": 3, "z": 2}
        self.vectors: dict[str, int] = {}
        self.scalars: list[str] = []
        self._names = 0

    def pick(self, *options: int) -> int:
        """One of some numbers."""
        return self.random.choice(options)

    def const(self, value: object) -> str:
        """A new integer constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.array(value, np.int64), name))
        return name

    def node(self, op_type: str, inputs: list[str], count: int = 1, **attributes: Any) -> list[str]:
        """A new node; gives the names of its outputs."""
        outputs = [f"v{self._names + index}" for index in range(count)]
        self._names += count
        self.nodes.append(helper.make_node(op_type, inputs, outputs, **attributes))
        return outputs

    def one(self, op_type: str, inputs: list[str], **attributes: Any) -> str:
        """A new node with one output; gives its name."""
        return self.node(op_type, inputs, **attributes)[0]

    def tensor(self) -> tuple[str, int]:
        """A float tensor with at least one dimension, and its rank."""
        return self.random.choice([(name, rank) for name, rank in self.ranks.items() if rank])

    def scalar(self) -> str:
        """An integer scalar, computed or constant."""
        return self.random.choice([*self.scalars, self.const(self.pick(-1, 0, 1, 2, 3, 7, 16))])

    def shape_of(self, tensor: str) -> str:
        """The shape of a tensor."""
        name = self.one("Shape", [tensor])
        self.vectors[name] = self.ranks[tensor]
        return name

    def as_vector(self, scalar: str) -> str:
        """A scalar as a vector of one element."""
        return self.one("Unsqueeze", [scalar, self.const([0])])

    def clipped(self, value: str, low: int, high: int) -> str:
        """An integer held between two bounds."""
        return self.one("Min", [self.one("Max", [value, self.const(low)]), self.const(high)])

    def finish(self) -> onnx.ModelProto:
        """The model, with every value as an output."""
        names = [name for node in self.nodes for name in node.output]
        graph = helper.make_graph(
            self.nodes,
            "program",
            [
                helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["b", 4, "s"]),
                helper.make_tensor_value_info("z", onnx.TensorProto.FLOAT, ["s", "t"]),
            ],
            [helper.make_empty_tensor_value_info(name) for name in names],
            self.constants,
        )
        opset = [helper.make_opsetid("", 18)]
        return helper.make_model(graph, opset_imports=opset, ir_version=9)


def slice_forward(p: Program) -> None:
    name, rank = p.tensor()
    start, end = p.pick(0, 0, 1, 2, -1, -2, -3, 5), p.pick(END, 2**31 - 1, -1, 1, 3, -2, 0, 7)
    axis, step = p.random.randrange(rank), p.pick(1, 1, 1, 2, 3)
    p.ranks[p.one("Slice", [name, *(p.const([n]) for n in (start, end, axis, step))])] = rank


def slice_by_scalar(p: Program) -> None:
    name, rank = p.tensor()
    at, zero, end = p.as_vector(p.scalar()), p.const([0]), p.const([END])
    bounds = p.random.choice([(zero, at), (at, end)])
    p.ranks[p.one("Slice", [name, *bounds, p.const([p.random.randrange(rank)])])] = rank


def transpose(p: Program) -> None:
    name, rank = p.tensor()
    p.ranks[p.one("Transpose", [name], perm=p.random.sample(range(rank), rank))] = rank


def flatten(p: Program) -> None:
    name, rank = p.tensor()
    p.ranks[p.one("Flatten", [name], axis=p.random.randint(-rank, rank))] = 2


def unsqueeze(p: Program) -> None:
    name, rank = p.tensor()
    if rank < 5:
        axis = p.random.randint(-rank - 1, rank)
        p.ranks[p.one("Unsqueeze", [name, p.const([axis])])] = rank + 1


def concat(p: Program) -> None:
    name, rank = p.tensor()
    copies = [name] * p.pick(1, 2, 3)
    p.ranks[p.one("Concat", copies, axis=p.random.randrange(rank))] = rank


def reshape_with_zeros(p: Program) -> None:
    name, rank = p.tensor()
    target = [0] * p.pick(*range(1, rank + 1))
    target[-1] = -1
    p.ranks[p.one("Reshape", [name, p.const(target)])] = len(target)


def reshape_to_dimensions(p: Program) -> None:
    name, rank = p.tensor()
    shape = p.shape_of(name)
    parts = [p.one("Slice", [shape, p.const([i]), p.const([i + 1])]) for i in range(rank)]
    first = p.random.randrange(rank)
    if p.random.random() < 0.5:
        parts[first : first + 2] = [p.const([-1])]
    else:
        parts.insert(first, p.const([p.pick(1, -1)]))
    target = p.one("Concat", parts, axis=0)
    p.vectors[target] = len(parts)
    p.ranks[p.one("Reshape", [name, target])] = len(parts)


def reshape_by_scalar(p: Program) -> None:
    name, _ = p.tensor()
    parts = [p.as_vector(p.scalar()), p.const([-1])]
    p.random.shuffle(parts)
    p.ranks[p.one("Reshape", [name, p.one("Concat", parts, axis=0)])] = 2


def take_dimension(p: Program) -> None:
    name, rank = p.tensor()
    shape = p.shape_of(name)
    p.scalars.append(p.one("Gather", [shape, p.const(p.random.randrange(-rank, rank))]))


def arithmetic(p: Program) -> None:
    op = p.random.choice(["Add", "Sub", "Mul", "Min", "Max", "Neg", "Abs"])
    operands = [p.scalar()] if op in ("Neg", "Abs") else [p.scalar(), p.scalar()]
    p.scalars.append(p.one(op, operands))


def divide(p: Program) -> None:
    divisor = p.const(p.pick(1, 2, 3, 4, 8, -2))
    p.scalars.append(p.one(p.random.choice(["Div", "Mod"]), [p.scalar(), divisor]))


def vector(p: Program) -> None:
    parts = [p.as_vector(p.scalar()) for _ in range(p.pick(1, 2, 3))]
    name = p.one("Concat", parts, axis=0)
    p.vectors[name] = len(parts)
    op = p.random.choice(["ReduceProd", "ReduceSum", "ReduceMax", "ReduceMin"])
    p.scalars.append(p.one(op, [name], keepdims=0))


def choose(p: Program) -> None:
    op = p.random.choice(["Equal", "Less", "Greater", "GreaterOrEqual", "LessOrEqual"])
    condition = p.one(op, [p.scalar(), p.scalar()])
    p.scalars.append(p.one("Where", [condition, p.scalar(), p.scalar()]))
    p.scalars.append(p.one("Cast", [condition], to=onnx.TensorProto.INT64))


def expand(p: Program) -> None:
    name, rank = p.tensor()
    if rank < 4:
        target = p.one("Concat", [p.const([p.pick(1, 2)]), p.shape_of(name)], axis=0)
        p.ranks[p.one("Expand", [name, target])] = rank + 1


def pad(p: Program) -> None:
    name, rank = p.tensor()
    pads = [p.const([p.pick(0, 0, 1, 2)]) for _ in range(2 * rank)]
    pads[p.random.randrange(2 * rank)] = p.as_vector(p.clipped(p.scalar(), 0, 5))
    p.ranks[p.one("Pad", [name, p.one("Concat", pads, axis=0)])] = rank


def tile(p: Program) -> None:
    name, rank = p.tensor()
    p.ranks[p.one("Tile", [name, p.const([p.pick(1, 2) for _ in range(rank)])])] = rank


def split(p: Program) -> None:
    name, rank = p.tensor()
    count = p.pick(1, 2, 3)
    axis = p.random.randrange(rank)
    for part in p.node("Split", [name], count, axis=axis, num_outputs=count):
        p.ranks[part] = rank


def reduce(p: Program) -> None:
    name, rank = p.tensor()
    axes = sorted(p.random.sample(range(rank), p.pick(*range(1, rank + 1))))
    keep = p.pick(0, 1)
    result = p.one("ReduceSum", [name, p.const(axes)], keepdims=keep)
    p.ranks[result] = rank if keep else rank - len(axes)


def counting(p: Program) -> None:
    limit = p.clipped(p.scalar(), -9, 9)
    start = p.const(p.pick(0, 0, 1, 6))
    numbers = p.one("Range", [start, limit, p.const(p.pick(1, 1, 2, -1))])
    p.ranks[p.one("Cast", [numbers], to=onnx.TensorProto.FLOAT)] = 1


def fill(p: Program) -> None:
    parts = [p.as_vector(p.clipped(p.scalar(), 0, 4)) for _ in range(p.pick(1, 2))]
    p.ranks[p.one("ConstantOfShape", [p.one("Concat", parts, axis=0)])] = len(parts)


def outer_product(p: Program) -> None:
    name, rank = p.tensor()
    if rank >= 2:
        order = [*range(rank - 2), rank - 1, rank - 2]
        p.ranks[p.one("MatMul", [name, p.one("Transpose", [name], perm=order)])] = rank


# Backward slices are left out: onnxruntime aborts on some of them where a dimension is empty.
STEPS: list[Callable[[Program], None]] = [
    *(slice_forward, slice_by_scalar, transpose, flatten, unsqueeze, concat),
    *(reshape_with_zeros, reshape_to_dimensions, reshape_by_scalar, take_dimension, arithmetic),
    *(divide, vector, choose, expand, pad, tile, split, reduce, counting, fill, outer_product),
]


def random_program(random: Random, steps: int) -> onnx.ModelProto:
    """A model of some random steps, which may fail to run."""
    program = Program(random)
    take_dimension(program)
    for _ in range(steps):
        random.choice(STEPS)(program)
    return program.finish()
