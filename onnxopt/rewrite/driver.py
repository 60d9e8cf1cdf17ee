"""The driver: a worklist over an index from operator type to rules.

Cost follows the nodes touched, not nodes times rules. A rewrite puts its new nodes, and the nodes
near enough to match through them, back on the list.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence

import onnx_ir as ir

from .builder import Builder
from .editor import Applied, Editor, Rewrite, where
from .match import Declined, Match
from .matcher import Bindings, Matcher
from .pattern import Op, depth
from .rule import Rule, Skip
from .scopes import owner
from .uses import has_one_use, read_only_by, use_count

_REVISIT_LIMIT = 64
_REWRITES_PER_NODE = 8
_REWRITES_AT_LEAST = 1000


class Driver:
    """Applies a set of rules to every graph of a model until none fires.

    Args:
        editor: Checks and commits what the rules propose.
        rules: The rules; where several match at a node they are tried in this order.
    """

    def __init__(self, editor: Editor, rules: Sequence[Rule]) -> None:
        self._editor = editor
        self._matcher = Matcher(editor.facts)
        self._index: dict[tuple[str, str], list[tuple[Rule, Op]]] = defaultdict(list)
        self._reach = 1
        for rule in rules:
            for pattern in rule.patterns:
                self._reach = max(self._reach, depth(pattern))
                for op_type in pattern.types:
                    self._index[(pattern.domain, op_type)].append((rule, pattern))
        self._queue: deque[ir.Node] = deque()
        self._queued: set[ir.Node] = set()

    def run(self) -> int:
        """Rewrites until nothing fires.

        Returns:
            The number of rewrites made.
        """
        for graph in self._editor.scopes.graphs():
            self._enqueue(graph)
        bound = _REWRITES_AT_LEAST + _REWRITES_PER_NODE * len(self._queue)
        fired: Counter[str] = Counter()
        while self._queue:
            node = self._queue.popleft()
            self._queued.discard(node)
            if node.graph is None:
                continue
            name = self._visit(node)
            if name is not None:
                fired[name] += 1
                bound -= 1
            if bound < 0:
                cycling = ", ".join(n for n, _ in fired.most_common(3))
                self._editor.stats.note(f"stopped rewriting: these rules seem to cycle: {cycling}")
                break
        return sum(fired.values())

    def _enqueue(self, nodes: Iterable[ir.Node]) -> None:
        for node in nodes:
            if node not in self._queued and (node.domain, node.op_type) in self._index:
                self._queued.add(node)
                self._queue.append(node)

    def _visit(self, node: ir.Node) -> str | None:
        if (node.domain, node.op_type, node.overload) in self._editor.model.functions:
            return None
        for rule, pattern in self._index[(node.domain, node.op_type)]:
            for bindings in self._matcher.match(pattern, node):
                applied = self._try(rule, node, bindings)
                if applied is not None:
                    self._revisit(applied)
                    return rule.name
        return None

    def _try(self, rule: Rule, node: ir.Node, bindings: Bindings) -> Applied | None:
        stats = self._editor.stats
        match = Match(node, bindings, self._editor.facts, self._editor.target)
        reason = _unfit(match)
        if reason is not None:
            stats.decline(rule.name, where(node), reason)
            return None
        build = self._editor.builder(node)
        try:
            outcome = rule.function(match, build)
        except Declined as declined:
            outcome = Skip(str(declined))
        except Exception as error:
            build.discard()
            stats.error(rule.name, where(node), f"{type(error).__name__}: {error}")
            return None
        if isinstance(outcome, Skip):
            build.discard()
            stats.decline(rule.name, where(node), outcome.reason)
            return None
        applied = self._commit(rule, match, build, outcome)
        if applied is None:
            build.discard()
        return applied

    def _commit(
        self,
        rule: Rule,
        match: Match,
        build: Builder,
        outcome: ir.Value | Sequence[ir.Value | None],
    ) -> Applied | None:
        news = [outcome] if isinstance(outcome, ir.Value) else list(outcome)
        root = match.root
        replaced = []
        for old, new in zip(root.outputs, news, strict=False):
            if new is not None:
                replaced.append((old, new))
            elif use_count(old) or old.is_graph_output():
                self._editor.stats.decline(rule.name, where(root), "another output is in use")
                return None
        for old in root.outputs[len(news) :]:
            if use_count(old) or old.is_graph_output():
                self._editor.stats.decline(rule.name, where(root), "another output is in use")
                return None
        gone = [n for n, p in match.inner() if not p.shared or _only_feeds(n, match.nodes())]
        makers = [maker for old, _ in build.beside if (maker := old.producer()) is not None]
        reason = _unplaceable(makers[0], match, build) if makers else None
        if reason is not None:
            self._editor.stats.decline(rule.name, where(root), reason)
            return None
        rewrite = Rewrite(
            rule.name,
            root,
            [*replaced, *build.beside],
            list(dict.fromkeys([root, *gone, *makers])),
            tuple(build.nodes),
            tuple(build.constants),
            before=makers[0] if makers else None,
        )
        return self._editor.commit(rewrite)

    def _revisit(self, applied: Applied) -> None:
        """Queues what may match now: new nodes, and nodes that see a changed value from afar."""
        self._enqueue(applied.nodes)
        frontier = [v for v in applied.affected if v is not None]
        frontier.extend(v for n in applied.nodes for v in n.outputs)
        seen: set[ir.Node] = set()
        for _ in range(self._reach):
            users: list[ir.Node] = []
            for value in frontier:
                if use_count(value) > _REVISIT_LIMIT:
                    continue
                users.extend(n for n, _ in value.uses() if n not in seen and n.graph is not None)
            if not users or len(seen) > _REVISIT_LIMIT:
                break
            seen.update(users)
            self._enqueue(users)
            frontier = [v for n in users for v in n.outputs]
        producers = [v.producer() for v in applied.affected]
        self._enqueue(p for p in producers if p is not None and p.graph is not None)


def _unfit(match: Match) -> str | None:
    """Why the driver itself declines a match: inner values that others need."""
    matched = set(match.nodes())
    for node, pattern in match.inner():
        if owner(node) is not owner(match.root) and not pattern.shared:
            return "part of the pattern lies in another graph"
        if pattern.shared:
            continue
        for value in node.outputs:
            if value.is_graph_output():
                return "an inner value is a graph output"
            if has_one_use(value):
                continue
            if not read_only_by(value, matched):
                return "an inner value has other uses"
    return None


def _only_feeds(node: ir.Node, matched: Sequence[ir.Node]) -> bool:
    inside = set(matched)
    return all(not v.is_graph_output() and read_only_by(v, inside) for v in node.outputs)


def _unplaceable(place: ir.Node, match: Match, build: Builder) -> str | None:
    """Why new nodes cannot go before ``place``, a node of the match: not all they read is surely made there."""
    if owner(place) is not owner(match.root):
        return "part of the pattern lies in another graph"
    matched = set(match.nodes())
    before: set[ir.Value] = set()
    pending = [place]
    while pending:
        inputs = {v for v in pending.pop().inputs if v is not None}
        producers = (v.producer() for v in inputs - before)
        pending.extend(p for p in producers if p is not None and p in matched)
        before |= inputs
    made = {v for node in build.nodes for v in node.outputs}
    read = {v for node in build.nodes for v in node.inputs if v is not None}
    if all(v.producer() is None or v in before for v in read - made):
        return None
    return "an input is made too late"
