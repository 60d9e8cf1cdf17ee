"""Compares two models."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence

import onnx_ir as ir

from onnxopt.analysis.summary import summarize

from .accounting import Account
from .constants import constant_changes
from .contents import Contents
from .gathering import gathered
from .hashing import Ascent, Level
from .interface import Pair, interface_changes, port_pairs
from .judging import Judge
from .matching import Matcher, Scope, positional
from .regions import rules
from .result import KINDS, Change, ModelDiff, Nodes, Total
from .side import Side, is_constant_node
from .weights import compare_weights


def diff_models(
    a: ir.Model,
    b: ir.Model,
    *,
    file_bytes: tuple[int | None, int | None] = (None, None),
    dims: Mapping[str, int] | None = None,
) -> ModelDiff:
    """Tells what changed between two models.

    Args:
        a: The first model.
        b: The second.
        file_bytes: Bytes of the files they are in.
        dims: Sizes of symbolic dims to count operations with; 1 by default.

    Returns:
        Every difference but names of nodes, values and weights, and the order of nodes.

    Raises:
        ModelError: A file that holds weights changed or is gone.
    """
    contents = Contents()
    before, after = Side(a, contents), Side(b, contents)
    inputs = port_pairs(a.graph.inputs, b.graph.inputs)
    outputs = port_pairs(a.graph.outputs, b.graph.outputs)
    comparison = _Comparison(before, after, inputs, outputs)
    return ModelDiff(
        comparison.nodes(),
        compare_weights(before, after, comparison.pairs),
        tuple(interface_changes(a, b, inputs, outputs)),
        _total(before, file_bytes[0], dims),
        _total(after, file_bytes[1], dims),
    )


class _Comparison:
    """The comparison of two models' nodes."""

    def __init__(self, a: Side, b: Side, inputs: Sequence[Pair], outputs: Sequence[Pair]) -> None:
        self._a = a
        self._b = b
        results: dict[ir.Value, Hashable] = {}
        for number, (old, new) in enumerate(inputs):
            _stand_for(a.ports, old, ("input", number))
            _stand_for(b.ports, new, ("input", number))
        for number, (old, new) in enumerate(outputs):
            _stand_for(results, old, ("output", number))
            _stand_for(results, new, ("output", number))
        a.symbols = b.symbols = _symbols(a.model) & _symbols(b.model)
        main_a, main_b = a.model.graph, b.model.graph
        self._main = Scope(
            main_a,
            main_b,
            ([a.ports[v] for v in main_a.inputs], [b.ports[v] for v in main_b.inputs]),
            ([results[v] for v in main_a.outputs], [results[v] for v in main_b.outputs]),
        )
        self._matcher = Matcher(a, b)
        self._scopes = list(self._match())
        self.pairs = self._matcher.pairs

    def _match(self) -> Iterator[Scope]:
        yield from self._matcher.match(self._main)
        there = self._b.model.functions
        for key, function in self._a.model.functions.items():
            other = there.get(key)
            if other is not None:
                yield from self._matcher.match(positional(function.graph, other.graph))

    def nodes(self) -> Nodes:
        """Tells what happened to every node."""
        before, after = self._tokens(self._a, 0), self._tokens(self._b, 1)
        if self._anywhere(before, after):
            before, after = self._tokens(self._a, 0), self._tokens(self._b, 1)
        homes = {scope.a: scope.b for scope in self._scopes}
        judge = Judge(self._a, self._b, self.pairs, before, after, homes)
        account = Account(self._a, self._b, self.pairs, before, after, self._outputs())
        gone, new = self._lonely(self._a), self._lonely(self._b)
        changes = account.changes(gone, new)
        unchanged = renamed = 0
        for old, now in self.pairs.after.items():
            kind, details = judge.judge(old)
            more = account.absorbed.get(now, [])
            if more:
                kind = "fused"
            if not kind:
                unchanged += 1
                renamed += old.name != now.name
                continue
            places = tuple(map(self._a.place, (old, *more)))
            found = Change(kind, places, (self._b.place(now),), details, tuple(rules(now)))
            changes.append(found)
        changes = gathered(changes)
        same, constants = constant_changes(self._a, self._b)
        return Nodes(unchanged + same, renamed, tuple(_in_order([*changes, *constants])))

    def _anywhere(self, before: Ascent, after: Ascent) -> int:
        """Pairs what computes the same in other graphs, and returns the number of pairs."""
        old = {node: before.keys.get(node) for node in self._lonely(self._a)}
        new = {node: after.keys.get(node) for node in self._lonely(self._b)}
        return self.pairs.add_equal(old, new, ())

    def _outputs(self) -> dict[ir.Value, list[ir.Value]]:
        """By an output of a graph of the second model those of the first that are the same."""
        found: dict[ir.Value, list[ir.Value]] = defaultdict(list)
        for scope in self._scopes:
            there = dict(zip(scope.results[1], scope.b.outputs, strict=True))
            for result, value in zip(scope.results[0], scope.a.outputs, strict=True):
                if result in there:
                    found[there[result]].append(value)
        return found

    def _lonely(self, side: Side) -> list[ir.Node]:
        return [n for n in side.all_nodes() if n not in self.pairs and not is_constant_node(n)]

    def _tokens(self, side: Side, position: int) -> Ascent:
        """What every value is, now that all pairs are known."""
        for _ in range(2):  # a node that computes what a later one does is seen the second time
            ascent = Ascent(self._matcher.hasher, side, Level.EXACT)
            ascent.graph(side.model.graph, self._main.arguments[position])
            for function in side.model.functions.values():
                ascent.graph(function.graph, [("bound", i) for i, _ in enumerate(function.inputs)])
        return ascent


def _stand_for(where: dict[ir.Value, Hashable], value: ir.Value | None, what: Hashable) -> None:
    if value is not None:
        where[value] = what


def _symbols(model: ir.Model) -> frozenset[str]:
    """The names of dims that stand in the inputs."""
    dims = [dim for value in model.graph.inputs for dim in value.shape or ()]
    return frozenset(d.value for d in dims if isinstance(d, ir.SymbolicDim) and d.value)


def _in_order(changes: list[Change]) -> list[Change]:
    """Puts changes of one kind beside each other."""
    return sorted(changes, key=lambda change: KINDS.index(change.kind))


def _total(side: Side, file_bytes: int | None, dims: Mapping[str, int] | None) -> Total:
    summary = summarize(side.model, side.facts, dims)
    ops = Counter(summary.ops)
    return Total(
        sum(ops.values()),
        dict(ops.most_common()),
        file_bytes,
        summary.weight_bytes,
        summary.cost.macs,
        summary.cost.uncounted,
        dict(summary.cost.assumed),
    )
