"""What became of nodes that only one of the models has."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from .hashing import Ascent
from .pairs import Pairs
from .regions import Joining, rules, sources
from .result import Change
from .side import Side

_PASSING = frozenset({"Identity", "Dropout"})
Cause = tuple[str, str]


class Account:
    """Gives each node that is in no pair one change.

    Args:
        a: The first model.
        b: The second.
        pairs: All pairs.
        before: What the values of the first model are.
        after: What those of the second are.
        outputs: By an output of a graph of the second model those of the first that are the same.
    """

    def __init__(
        self,
        a: Side,
        b: Side,
        pairs: Pairs,
        before: Ascent,
        after: Ascent,
        outputs: dict[ir.Value, list[ir.Value]],
    ) -> None:
        self._a = a
        self._b = b
        self._pairs = pairs
        self._before = before
        self._after = after
        self._outputs = outputs
        self._there = set(after.tokens.values())
        self._causes: dict[ir.Node, Cause] = {}
        self._fates: dict[ir.Node, str] = {}
        self.absorbed: dict[ir.Node, list[ir.Node]] = {}
        """By a node of the second model that is in a pair the other nodes it does the work of."""

    def changes(self, gone: list[ir.Node], new: list[ir.Node]) -> list[Change]:
        """Accounts for all nodes.

        Args:
            gone: Nodes of the first model that are in no pair, in order.
            new: The same of the second.
        """
        made = [node for node in new if not self._folded(self._b, self._after, node)]
        joining = Joining(self._a, self._b, self._pairs, gone, made, self._outputs)
        for node in self._pairs.before:
            named = [n for n in joining.declared(node) if n not in self._causes]
            self._absorb(node, named)
        for node in reversed(gone):
            cause = None if node in self._causes else self._certain(node)
            if cause is not None:
                self._causes[node] = cause
                self._fates[node] = cause[0]
        open_nodes = [node for node in gone if node not in self._causes]
        joining = Joining(self._a, self._b, self._pairs, open_nodes, made, self._outputs)
        found = self._regions(list(joining.regions.sets()))
        found += [
            Change(kind, (self._a.place(node),), (), (why,))
            for node in gone
            if (cause := self._causes.get(node)) is not None
            for kind, why in [cause]
            if kind != "absorbed"
        ]
        helping = [node for node in new if node not in set(made)]
        return found + [self._added(n) for n in helping]

    def _added(self, node: ir.Node) -> Change:
        place = (self._b.place(node),)
        return Change("added", (), place, (), tuple(rules(node)), tuple(sources(node)))

    def _absorb(self, into: ir.Node, nodes: list[ir.Node]) -> None:
        for node in nodes:
            self._causes[node] = ("absorbed", "")
            self._fates[node] = "fused"
            self.absorbed.setdefault(into, []).append(node)

    def _certain(self, node: ir.Node) -> Cause | None:
        """Why a node is gone, if it can be told without looking at new nodes."""
        users = self._users(node)
        kept = any(value.is_graph_output() for value in node.outputs)
        if not users and not kept:
            return ("removed", "nothing reads it")
        if self._folded(self._a, self._before, node):
            return ("folded", "its value is a constant")
        if node.op_type in _PASSING and node.domain == "":
            return ("removed", "it passes its input on")
        read = [value for value in node.outputs if value.uses() or value.is_graph_output()]
        if all(self._before.tokens.get(value) in self._there for value in read):
            return ("merged", "another node computes the same")
        causes = {self._causes[user][0] for user in users if user in self._causes}
        everywhere = not kept and all(user in self._causes for user in users)
        if everywhere and "absorbed" not in causes:
            kind = causes.pop() if len(causes) == 1 else "removed"
            return (kind, f"only nodes that are {kind} read it")
        return None

    def _folded(self, side: Side, ascent: Ascent, node: ir.Node) -> bool:
        """Whether everything that is read of a node is the same in every run."""
        read = [value for value in node.outputs if value.uses() or value.is_graph_output()]
        return bool(read) and all(v in ascent.constants or side.is_known_number(v) for v in read)

    def _users(self, node: ir.Node) -> list[ir.Node]:
        return [user for value in node.outputs for user, _ in value.uses()]

    def _regions(self, regions: list[list[ir.Node]]) -> list[Change]:
        """Accounts for nodes that belong together: first where something stands in their place."""
        found: list[Change] = []
        left: list[list[ir.Node]] = []
        for nodes in regions:
            before = [node for node in nodes if self._is_old(node)]
            after = [node for node in nodes if not self._is_old(node)]
            into = None if after else self._taken_over(before)
            if before and after:
                kind = "fused" if len(after) < len(before) else "replaced"
                self._fates.update(dict.fromkeys(before, kind))
                found.append(self._change(kind, before, after))
            elif after:
                found += [self._added(node) for node in after]
            elif into is not None:
                self._absorb(into, before)
            else:
                left.append(before)
        for region in left:
            kind, why = self._replacement(region)
            found += [Change(kind, (self._a.place(node),), (), (why,)) for node in region]
        return found

    def _is_old(self, node: ir.Node) -> bool:
        return node in self._before.keys

    def _change(self, kind: str, before: list[ir.Node], after: list[ir.Node]) -> Change:
        made_by = dict.fromkeys(rule for node in after for rule in rules(node))
        return Change(
            kind,
            tuple(map(self._a.place, before)),
            tuple(map(self._b.place, after)),
            (),
            tuple(made_by),
        )

    def _replacement(self, region: list[ir.Node]) -> Cause:
        """What is read in place of a region's results."""
        read = {self._before.read(v) for node in region for v in node.inputs if v is not None}
        now = list(self._read_now(region))
        if now and all(value in self._after.constants for value in now):
            return ("folded", "what reads it reads a constant now")
        if now and all(self._after.read(value) in read for value in now):
            return ("removed", "what reads it reads its input now")
        if now:
            return ("removed", "what read it reads another value now")
        inside = set(region)
        users = {user for node in region for user in self._users(node)} - inside
        fates = sorted({self._fates[user] for user in users if user in self._fates}) or ["removed"]
        return ("removed", f"only nodes that are {' or '.join(fates)} read it")

    def _read_now(self, region: list[ir.Node]) -> Iterator[ir.Value]:
        """Yields what nodes of the second model read where the first model's read a region's results."""
        inside = set(region)
        for value in (value for node in region for value in node.outputs):
            for user, position in value.uses():
                after = None if user in inside else self._pairs.after.get(user)
                if after is not None and position < len(after.inputs):
                    now = after.inputs[position]
                    if now is not None:
                        yield now

    def _taken_over(self, region: list[ir.Node]) -> ir.Node | None:
        """The node beside a region that is in a pair and reads other constants or has other attributes now."""
        inside = set(region)
        beside = [
            producer
            for node in region
            for value in node.inputs
            if value is not None and (producer := value.producer()) is not None
        ]
        beside += [user for node in region for user in self._users(node)]
        for node in beside:
            after = self._pairs.after.get(node)
            if node not in inside and after is not None and self._differs(node, after):
                return after
        return None

    def _differs(self, a: ir.Node, b: ir.Node) -> bool:
        if self._a.sign(a) != self._b.sign(b) or len(a.inputs) != len(b.inputs):
            return True
        for old, new in zip(a.inputs, b.inputs, strict=True):
            if old is None or new is None:
                continue
            both = self._a.constant(old) is not None and self._b.constant(new) is not None
            if both and self._before.read(old) != self._after.read(new):
                return True
        return False
