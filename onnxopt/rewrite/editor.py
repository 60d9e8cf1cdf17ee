"""The one place that changes a graph.

Rules and passes describe a `Rewrite`; the editor checks it, asks the gate, and commits it whole or
not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import onnx_ir as ir

from ..analysis.facts import Facts
from ..targets.target import GENERIC, Target
from . import provenance
from .budget import Budget
from .builder import Builder
from .gate import Gate
from .names import Names, separate
from .schema import illegal
from .scopes import Scope, Scopes, differentiates, owner, subgraphs
from .stats import Stats
from .uses import is_dead, use_count


@dataclass
class Rewrite:
    """A change to a graph, described but not made.

    Attributes:
        rule: The rule or pass that wants it.
        anchor: New nodes go right before this node, unless ``before`` names another.
        replaced: Pairs of a value and what stands for it afterwards.
        origin: The nodes the new ones stand for; those left without use are removed.
        nodes: New nodes, in order.
        constants: New initializers.
        settled: Whether what it costs was charged to the budget already, as part of a group.
        before: Another node of the same graph that new nodes go right before.
    """

    rule: str
    anchor: ir.Node
    replaced: Sequence[tuple[ir.Value, ir.Value]]
    origin: Sequence[ir.Node]
    nodes: Sequence[ir.Node] = ()
    constants: Sequence[ir.Value] = ()
    settled: bool = False
    before: ir.Node | None = None


@dataclass
class Applied:
    """What a committed rewrite touched, for those who keep a worklist.

    Attributes:
        nodes: The new nodes.
        removed: The nodes removed.
        affected: Values whose set of uses changed.
    """

    nodes: list[ir.Node] = field(default_factory=list)
    removed: list[ir.Node] = field(default_factory=list)
    affected: list[ir.Value] = field(default_factory=list)


def where(node: ir.Node) -> str:
    """Names a node for people: its name, or else its first output's."""
    if node.name:
        return node.name
    first = node.outputs[0].name if node.outputs else None
    return first or node.op_type


class Editor:
    """Checks and commits rewrites on one model.

    Args:
        model: The model to edit.
        facts: What is known of its values; kept current.
        gate: Admits or refuses each rewrite.
        stats: Counts what happened.
        target: What the result must run on; says which operators besides the standard ones may come out.
    """

    def __init__(
        self,
        model: ir.Model,
        facts: Facts,
        gate: Gate,
        stats: Stats,
        target: Target = GENERIC,
    ) -> None:
        self.model = model
        self.target = target
        self.facts = facts
        self.gate = gate
        self.stats = stats
        self.scopes = Scopes(model)
        self.names = Names(self.scopes)
        self.budget = Budget(model)
        self._differentiates = differentiates(model)
        if not self._differentiates:
            separate(self.scopes, self.names)

    def builder(self, anchor: ir.Node) -> Builder:
        """Returns a builder for a rewrite at ``anchor``."""
        scope = self.scopes.of(owner(anchor))
        return Builder(self.facts, self.names, where(anchor), scope.function is not None)

    def commit(self, rewrite: Rewrite) -> Applied | None:
        """Makes a rewrite, or declines it and records why.

        Returns:
            What was touched, or None where the rewrite was declined or not admitted.
        """
        place = where(rewrite.anchor)
        reason = self._refusal(rewrite)
        if reason is not None:
            self.stats.decline(rewrite.rule, place, reason)
            return None
        if not self.gate.admits(rewrite.rule, place):
            return None
        if not rewrite.settled:
            growth = self.budget.growth(rewrite.nodes, rewrite.constants, rewrite.origin)
            if not self.budget.allows(growth):
                self.stats.decline(rewrite.rule, place, "the model would grow")
                return None
            self.budget.spend(growth)
        self.gate.record(rewrite.rule, place)
        self.stats.fired[rewrite.rule] += 1
        return self._apply(rewrite)

    def remove_dead(self, nodes: Iterable[ir.Node]) -> list[ir.Node]:
        """Removes those of ``nodes`` that nothing reads, and what only they read, in turn."""
        dead: dict[ir.Node, ir.Graph] = {}
        # What a model that differentiates itself reads by name looks dead.
        stack = [] if self._differentiates else list(nodes)
        while stack:
            node = stack.pop()
            if node.graph is None or node in dead or not is_dead(node):
                continue
            dead[node] = owner(node)
            for index, value in enumerate(node.inputs):
                producer = None if value is None else value.producer()
                if producer is not None:
                    stack.append(producer)
                node.replace_input_with(index, None)
            for graph in subgraphs(node):
                stack.extend(self._drop_body(graph))
        # At once, because each removal on its own looks at all of a graph's outputs.
        for graph in set(dead.values()):
            graph.remove([node for node, its in dead.items() if its is graph])
        self.stats.removed.update(node.op_type for node in dead)
        return list(dead)

    def _drop_body(self, graph: ir.Graph) -> list[ir.Node]:
        """Empties the body of a node that goes; returns the producers of what its nodes read."""
        around: list[ir.Node] = []
        for node in list(graph):
            for inner in subgraphs(node):
                around.extend(self._drop_body(inner))
            producers = [v.producer() for v in node.inputs if v is not None]
            around.extend(p for p in producers if p is not None)
            for index in range(len(node.inputs)):
                node.replace_input_with(index, None)
        for node in list(graph):
            # Nodes outside of any graph are what the driver and the passes pass over.
            graph.remove(node)
        self.scopes.forget(graph)
        return around

    def _refusal(self, rewrite: Rewrite) -> str | None:
        if self._differentiates:
            return "the model differentiates itself, so that its nodes must stay as they are"
        scope = self.scopes.of(owner(rewrite.anchor))
        for node in rewrite.nodes:
            if (node.domain, node.op_type, node.overload) in self.model.functions:
                continue
            if node.domain == "" or node.domain.startswith("ai.onnx"):
                reason = illegal(node, self._opset(scope, node.domain))
                if reason is not None:
                    return reason
            elif self._opset(scope, node.domain) is None and node.domain not in self.target.domains:
                return f"neither the model nor the target has the domain of {node.op_type}"
        fresh = {v for n in rewrite.nodes for v in n.outputs}
        for old, new in rewrite.replaced:
            reason = self._disagreement(old, new) or self._misplaced(old, new, fresh, rewrite)
            if reason is not None:
                return reason
        return None

    def _opset(self, scope: Scope, domain: str) -> int | None:
        return self._imports(scope).get(domain)

    def _imports(self, scope: Scope) -> dict[str, int]:
        return scope.function.opset_imports if scope.function else self.model.opset_imports

    def _import_domains(self, nodes: Sequence[ir.Node], graph: ir.Graph) -> None:
        imports = self._imports(self.scopes.of(graph))
        for node in nodes:
            if node.domain in self.target.domains:
                imports.setdefault(node.domain, self.target.domains[node.domain])

    def _disagreement(self, old: ir.Value, new: ir.Value) -> str | None:
        was, now = self.facts.dtype(old), self.facts.dtype(new)
        if was is not None and now is not None and was != now:
            return f"the type would change from {was} to {now}"
        before, after = self.facts.shape(old), self.facts.shape(new)
        if before is None or after is None:
            return None
        if len(before) != len(after):
            return "the rank would change"
        for a, b in zip(before, after, strict=True):
            if isinstance(a, int) and isinstance(b, int) and a != b:
                return "the shape would change"
        return None

    def _misplaced(
        self, old: ir.Value, new: ir.Value, fresh: set[ir.Value], rewrite: Rewrite
    ) -> str | None:
        if not old.is_graph_output() or new in fresh or self._can_take_name(old, new):
            return None
        if self._opset(self.scopes.of(owner(rewrite.anchor)), "") is None:
            return "a graph output needs an Identity, whose operator set the model does not import"
        if new in rewrite.constants or len(set(rewrite.origin)) > 1:
            return None
        return "a graph output must keep a node of its own"

    @staticmethod
    def _can_take_name(old: ir.Value, new: ir.Value) -> bool:
        """Whether ``new`` can become the graph output that ``old`` is."""
        producer, was = new.producer(), old.producer()
        if producer is None or was is None or new.is_graph_output() or new.is_graph_input():
            return False
        return producer.graph is None or owner(producer) is owner(was)

    def _apply(self, rewrite: Rewrite) -> Applied:
        done = Applied()
        graph = owner(rewrite.anchor)
        for constant in rewrite.constants:
            graph.initializers.add(constant)
        self._import_domains(rewrite.nodes, graph)
        provenance.record(rewrite.rule, rewrite.nodes, rewrite.origin)
        self._insert(rewrite.nodes, rewrite.before or rewrite.anchor)
        done.nodes.extend(rewrite.nodes)
        for old, new in rewrite.replaced:
            self._replace(old, new, rewrite, done)
        origin = list(dict.fromkeys([*rewrite.origin, rewrite.anchor]))
        done.affected.extend(v for n in origin for v in n.inputs if v is not None)
        done.removed = self.remove_dead(origin)
        self._hand_over_name(rewrite)
        return done

    def _insert(self, nodes: Sequence[ir.Node], anchor: ir.Node) -> None:
        if not nodes:
            return
        owner(anchor).insert_before(anchor, nodes)
        for node in nodes:
            self.stats.added[node.op_type] += 1
            self.scopes.adopt(node)

    def _replace(self, old: ir.Value, new: ir.Value, rewrite: Rewrite, done: Applied) -> None:
        self.facts.copy_facts(old, new)
        if old.is_graph_output():
            if not self._can_take_name(old, new):
                new = self._identity(old, new, rewrite.anchor, done)
            self._become_output(old, new)
        elif new.producer() in set(rewrite.nodes) and old.name and not new.is_graph_output():
            # One new value may stand for several; once it is a graph output its name is settled.
            _take_name(old, new, self.names)
        for node, index in old.uses():
            node.replace_input_with(index, new)
        done.affected.append(new)

    def _identity(self, old: ir.Value, new: ir.Value, anchor: ir.Node, done: Applied) -> ir.Value:
        build = self.builder(anchor)
        made = build.op("Identity", new)
        self.facts.copy_facts(old, made)
        self._insert(build.nodes, anchor)
        done.nodes.extend(build.nodes)
        return made

    def _become_output(self, old: ir.Value, new: ir.Value) -> None:
        graph = old.graph
        assert graph is not None
        _take_name(old, new, self.names)
        new.type, new.shape = old.type, old.shape
        new.doc_string = old.doc_string
        new.metadata_props.update(old.metadata_props)
        new.meta.update(old.meta)
        for index, value in enumerate(graph.outputs):
            if value is old:
                graph.outputs[index] = new

    def _hand_over_name(self, rewrite: Rewrite) -> None:
        """The node that makes the first replaced value takes the old node's name."""
        anchor = rewrite.anchor
        if anchor.graph is not None or not rewrite.nodes or not rewrite.replaced:
            return
        successor = rewrite.replaced[0][1].producer()
        if successor in set(rewrite.nodes) and successor is not None:
            successor.name = anchor.name


def _take_name(old: ir.Value, new: ir.Value, names: Names) -> None:
    name = old.name
    old.name = names.fresh(f"{name}_replaced")
    new.name = name


__all__ = ["Applied", "Editor", "Rewrite", "use_count", "where"]
