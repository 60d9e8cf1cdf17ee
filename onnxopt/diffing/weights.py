"""What happened to the weights: constants of both models, matched by content, then by the nodes that read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from onnxopt.analysis.naming import dtype_name
from onnxopt.io.carry import sparse_tensor

from .figures import figures
from .pairs import Pairs
from .result import WeightChange, Weights
from .side import Side, is_constant_node


@dataclass(eq=False)
class Held:
    """A constant of a model.

    Attributes:
        value: Where it stands.
        tensor: What it is.
        number: The number of its content.
    """

    value: ir.Value
    tensor: ir.TensorProtocol
    number: int

    @property
    def name(self) -> str:
        """Its name."""
        return self.value.name or ""

    @property
    def dims(self) -> tuple[int, ...]:
        """Its dims."""
        return tuple(self.tensor.shape.numpy())


def held(side: Side) -> list[Held]:
    """Returns the constants of a model: dense initializers and tensors of ``Constant`` nodes."""
    found = []
    for graph in side.model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None and sparse_tensor(value) is None:
                found.append(Held(value, value.const_value, side.contents.of(value.const_value)))
    for node in side.all_nodes():
        if is_constant_node(node):
            tensor = side.constant(node.outputs[0])
            if tensor is not None:
                found.append(Held(node.outputs[0], tensor, side.contents.of(tensor)))
    return found


def compare_weights(a: Side, b: Side, pairs: Pairs) -> Weights:
    """Compares the constants of two models.

    Args:
        a: The first model.
        b: The second.
        pairs: Which nodes are the same.
    """
    before, after = _by_number(held(a)), _by_number(held(b))
    same = renamed = 0
    changes: list[WeightChange] = []
    gone: list[Held] = []
    new: list[Held] = []
    for number, mine in before.items():
        theirs = after.pop(number, [])
        matched, left, right = _by_name(mine, theirs)
        same += len(matched)
        renamed += sum(x.name != y.name for x, y in matched)
        if not theirs:
            gone += left
            continue
        changes += [_change("merged", item, theirs[0], own=False) for item in left]
        changes += [_change("copied", mine[0], item, own=False) for item in right]
    for theirs in after.values():
        new += theirs
    changes += _changed(gone, new, pairs)
    return Weights(same, renamed, tuple(changes))


def _by_number(items: list[Held]) -> dict[int, list[Held]]:
    found: dict[int, list[Held]] = defaultdict(list)
    for item in items:
        found[item.number].append(item)
    return found


def _by_name(
    mine: list[Held], theirs: list[Held]
) -> tuple[list[tuple[Held, Held]], list[Held], list[Held]]:
    """Pairs equal weights, those of one name first; returns the pairs and what is left of either."""
    rest = {item.name: item for item in theirs}
    matched = [(item, rest.pop(item.name)) for item in mine if item.name in rest]
    taken = {id(item) for pair in matched for item in pair}
    left = [item for item in mine if id(item) not in taken]
    right = [item for item in theirs if id(item) not in taken]
    matched += list(zip(left, right, strict=False))
    count = min(len(left), len(right))
    return matched, left[count:], right[count:]


def _changed(gone: list[Held], new: list[Held], pairs: Pairs) -> Iterator[WeightChange]:
    there = {item.value: item for item in new}
    names = {item.name: item for item in new if item.name}
    taken: set[Held] = set()
    for item in gone:
        other = _successor(item, there, names, pairs, taken)
        if other is None:
            yield _change("removed", item, None)
            continue
        taken.add(other)
        yield _change("changed", item, other)
    for item in new:
        if item not in taken:
            yield _change("added", None, item)


def _successor(
    item: Held,
    there: dict[ir.Value, Held],
    names: dict[str, Held],
    pairs: Pairs,
    taken: set[Held],
) -> Held | None:
    """The weight that the same node reads at the same input, or that has the same name."""
    for user, position in item.value.uses():
        after = pairs.after.get(user)
        if after is not None and position < len(after.inputs):
            value = after.inputs[position]
            found = None if value is None else there.get(value)
            if found is not None and found not in taken:
                return found
    found = names.get(item.name)
    return found if found is not None and found not in taken else None


def _change(
    kind: str, before: Held | None, after: Held | None, *, own: bool = True
) -> WeightChange:
    """Describes a change; ``own`` tells whether both weights take bytes of their own."""
    sizes = [0 if item is None else item.tensor.nbytes for item in (before, after)]
    if not own:
        sizes[1 if kind == "merged" else 0] = 0
    return WeightChange(
        kind,
        before.name if before else "",
        after.name if after else "",
        (_type(before), _type(after)),
        (before.dims if before else None, after.dims if after else None),
        (sizes[0], sizes[1]),
        figures(before.tensor, after.tensor) if before and after and own else None,
    )


def _type(item: Held | None) -> str:
    return "" if item is None else dtype_name(item.tensor.dtype)
