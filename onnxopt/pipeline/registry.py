"""What passes, rules and named pipelines there are.

Found by the entry points of the group ``onnxopt.passes`` and by walking the packages they name, so
that third parties add theirs the same way. A rule belongs to the group named after the package it
lies in; the group is a pass of that name.

A pipeline needs part of onnxopt's own packages, so each is imported once a name asks for it. What
third parties offer is imported at once, since their names must not be taken.
"""

from __future__ import annotations

import dataclasses
import importlib
import threading
import typing
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

from ..errors import UsageError
from ..rewrite.rule import Rule
from .base import Pass
from .discovery import builtin_parts, modules_of, offered_modules, third_parties
from .parse import Call, Repeat, Step, parse
from .ruleset import RuleSet

# The registry is shared: a thread must not see a group while another fills it.
_LOADING = threading.RLock()


@dataclass
class Registry:
    """Everything a pipeline can name, as far as it is imported; `load` imports more.

    Attributes:
        passes: Pass classes by name.
        rules: Rules by name.
        groups: Rules by group, in the order of modules and definition.
        summaries: One line for each group.
        pipelines: Pipeline texts by name.
        pending: Packages that are not imported yet, in the order in which they are searched.
    """

    passes: dict[str, type[Pass]] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)
    groups: dict[str, list[Rule]] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    pipelines: dict[str, str] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)

    def load(self, name: str | None = None) -> None:
        """Imports pending packages until one offers a name, first the one that is called so.

        Args:
            name: What a pipeline names. All packages are imported without one, and where it is
                offered by none.

        Raises:
            UsageError: A package defines a name that is taken.
        """
        with _LOADING:
            for package in sorted(self.pending, key=lambda p: _last_word(p) != name):
                if name is not None and self._knows(name):
                    return
                modules = modules_of(package)
                self.pending.remove(package)
                for module in modules:
                    self.add_module(module)

    def is_group(self, name: str) -> bool:
        """Whether a name is that of a group of rules."""
        self.load(name)
        return name in self.groups

    def add_module(self, module: ModuleType) -> None:
        """Takes in what a module defines.

        Raises:
            UsageError: A name is taken.
        """
        for name, text in getattr(module, "PIPELINES", {}).items():
            self._claim(name, module.__name__)
            self.pipelines[name] = text
        for item in vars(module).values():
            if isinstance(item, Rule) and item.module == module.__name__:
                self._add_rule(item, module)
            elif _is_pass(item, module.__name__):
                self._claim(item.name, item.__module__)
                self.passes[item.name] = item

    def _add_rule(self, rule: Rule, module: ModuleType) -> None:
        self._claim(rule.name, module.__name__)
        self.rules[rule.name] = rule
        group = _last_word(module.__name__.rpartition(".")[0])
        self.groups.setdefault(group, []).append(rule)
        if group not in self.summaries:
            package = importlib.import_module(module.__name__.rpartition(".")[0])
            self.summaries[group] = (package.__doc__ or "").strip().partition("\n")[0]

    def _claim(self, name: str, module: str) -> None:
        if name in self.passes or name in self.rules or name in self.pipelines:
            raise UsageError(f"{name!r} of {module} exists already; give it another name")

    def expand(self, text: str, disabled: Collection[str] = ()) -> tuple[Step, ...]:
        """Parses a pipeline, replaces named pipelines by their steps, and checks every name.

        Raises:
            UsageError: A name is unknown.
        """
        for name in disabled:
            self._check(name)
        return tuple(self._expand(parse(text), frozenset(disabled), ()))

    def _expand(
        self, steps: tuple[Step, ...], disabled: frozenset[str], inside: tuple[str, ...]
    ) -> Iterator[Step]:
        self._load_called(steps)
        for step in steps:
            if isinstance(step, Repeat):
                body = tuple(self._expand(step.body, disabled, inside))
                if body:
                    yield Repeat(body, step.limit)
            elif (text := self._pipeline(step.name)) is not None:
                if step.name in inside:
                    raise UsageError(f"pipeline {step.name!r} contains itself")
                yield from self._expand(parse(text), disabled, (*inside, step.name))
            elif step.name not in disabled:
                self.make(step)
                yield step

    def _load_called(self, steps: tuple[Step, ...]) -> None:
        """Imports the packages that are steps themselves: what else a pipeline names is often in them."""
        called = {step.name for step in steps if not isinstance(step, Repeat)}
        for package in [p for p in self.pending if _last_word(p) in called]:
            self.load(_last_word(package))

    def _pipeline(self, name: str) -> str | None:
        self.load(name)
        return self.pipelines.get(name)

    def make(self, call: Call, disabled: Collection[str] = ()) -> Pass:
        """Builds the pass a pipeline's step names.

        Raises:
            UsageError: The name or an option is unknown, or a value does not fit.
        """
        self._check(call.name)
        if call.name in self.passes:
            return _with_options(self.passes[call.name], call.options)
        options = dict(call.options)
        exact_only = _to_bool("exact_only", options.pop("exact_only", "false"))
        if options:
            raise UsageError(
                f"{call.name} has no option {sorted(options)[0]!r}; it has: exact-only"
            )
        rules = self.groups.get(call.name) or [self.rules[call.name]]
        chosen = [r for r in rules if r.name not in disabled and (r.exact or not exact_only)]
        summary = self.summaries.get(call.name) or rules[0].summary
        return RuleSet(call.name, summary, chosen)

    def _check(self, name: str) -> None:
        self.load(name)
        if self._knows(name):
            return
        import difflib

        known = [*self.passes, *self.groups, *self.rules, *self.pipelines]
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "; `onnxopt passes` lists them"
        raise UsageError(f"no pass or rule is called {name!r}{hint}")

    def _knows(self, name: str) -> bool:
        tables = (self.passes, self.groups, self.rules, self.pipelines)
        return any(name in table for table in tables)


def _last_word(module: str) -> str:
    """Returns a module's own name as pipelines write names."""
    return module.rpartition(".")[2].replace("_", "-")


def _is_pass(item: object, module: str) -> typing.TypeGuard[type[Pass]]:
    # The module is asked for first: ``issubclass`` of an abstract class asks all its subclasses.
    return (
        isinstance(item, type)
        and item.__module__ == module
        and issubclass(item, Pass)
        and "name" in vars(item)
    )


def _with_options(cls: type[Pass], options: dict[str, str]) -> Pass:
    hints = typing.get_type_hints(cls)
    fields: set[str] = set()
    if dataclasses.is_dataclass(cls):
        fields = {f.name for f in dataclasses.fields(cls)}
    values: dict[str, Any] = {}
    for key, text in options.items():
        if key not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise UsageError(f"{cls.name} has no option {key!r}; it has: {known}")
        values[key] = _convert(f"{cls.name}: option {key}", text, hints[key])
    return cls(**values)


def _convert(label: str, text: str, hint: Any) -> Any:
    if hint is bool:
        return _to_bool(label, text)
    if hint in (int, float):
        try:
            return hint(text)
        except ValueError:
            raise UsageError(f"{label} takes a number, not {text!r}") from None
    return text


def _to_bool(label: str, text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise UsageError(f"{label} takes true or false, not {text!r}")


@lru_cache(maxsize=1)
def installed() -> Registry:
    """Returns the registry of what is installed, built once; it imports what a name asks for.

    Raises:
        UsageError: A package offers passes that cannot be imported, or names that are taken.
    """
    found = Registry(pending=builtin_parts())
    offered = third_parties()
    if offered:
        found.load()
    for name in offered:
        for module in offered_modules(name):
            found.add_module(module)
    return found


def registry() -> Registry:
    """Returns the registry of what is installed, with everything imported.

    Raises:
        UsageError: As `installed`.
    """
    found = installed()
    found.load()
    return found
