"""Everything a pipeline can name, as plain data."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import UsageError
from ..pipeline.base import Pass
from ..pipeline.registry import Registry, registry
from ..rewrite.rule import Rule

Kind = Literal["pipeline", "pass", "group", "rule"]


@dataclass(frozen=True)
class Option:
    """An option of a pass.

    Attributes:
        name: As written in a pipeline.
        type: ``bool``, ``int``, ``float`` or ``str``.
        default: Its default, as written in a pipeline.
        meaning: What it is for.
    """

    name: str
    type: str
    default: str
    meaning: str = ""


@dataclass(frozen=True)
class Entry:
    """A name that a pipeline can use.

    Attributes:
        name: The name.
        kind: A pipeline, a pass, a group of rules (a pass too) or a single rule.
        summary: One line.
        exact: Whether results stay bit-identical; None for pipelines.
        doc: The whole description.
        example: What it turns into what, or the pipeline's text.
        options: Its options.
        rules: For a group, the names of its rules.
        group: For a rule, the name of its group.
    """

    name: str
    kind: Kind
    summary: str
    exact: bool | None
    doc: str = ""
    example: str = ""
    options: tuple[Option, ...] = ()
    rules: tuple[str, ...] = ()
    group: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns the entry as plain data."""
        return dataclasses.asdict(self)


@dataclass
class _Doc:
    """A docstring taken apart: prose, the ``Example:`` paragraph, the ``Attributes:`` section."""

    text: str
    example: str
    attributes: dict[str, str]

    @classmethod
    def of(cls, docstring: str | None) -> _Doc:
        """Takes a docstring apart."""
        lines = inspect.cleandoc(docstring or "").replace("``", "`").splitlines()
        lines, example = _cut(lines, "Example:")
        lines, attributes = _cut(lines, "Attributes:")
        meanings: dict[str, str] = {}
        for line in attributes.splitlines():
            if not line.startswith(" ") and ": " in line:
                name, _, meaning = line.partition(": ")
                meanings[name] = meaning
            elif meanings:
                meanings[name] = f"{meanings[name]} {line.strip()}"
        return cls("\n".join(lines).strip(), example, meanings)


def _cut(lines: list[str], heading: str) -> tuple[list[str], str]:
    """Takes out the paragraph that begins with a heading; returns the rest and the paragraph."""
    start = next((i for i, line in enumerate(lines) if line.startswith(heading)), None)
    if start is None:
        return lines, ""
    end = start + 1
    while end < len(lines) and lines[end].strip():
        end += 1
    first = lines[start].removeprefix(heading).strip()
    body = inspect.cleandoc("\n" + "\n".join(lines[start + 1 : end]))
    return [*lines[:start], *lines[end:]], f"{first}\n{body}".strip()


def entries(found: Registry | None = None) -> list[Entry]:
    """Lists pipelines, passes, groups and rules, in this order and then by name.

    Args:
        found: The passes there are; all installed ones by default.
    """
    known = found or registry()
    return [
        *(_pipeline(name, text) for name, text in sorted(known.pipelines.items())),
        *(_pass(cls) for _, cls in sorted(known.passes.items())),
        *(_group(known, name) for name in sorted(known.groups)),
        *(
            _rule(rule, group)
            for group in sorted(known.groups)
            for rule in sorted(known.groups[group], key=lambda r: r.name)
        ),
    ]


def find(known: Sequence[Entry], name: str) -> Entry:
    """Finds an entry by name.

    Raises:
        UsageError: There is none.
    """
    for entry in known:
        if entry.name == name:
            return entry
    import difflib

    close = difflib.get_close_matches(name, [e.name for e in known], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; `onnxopt passes` lists them"
    raise UsageError(f"no pass or rule is called {name!r}{hint}")


_LEVELS = {
    "O0": "Nothing: the model is read and written.",
    "O1": "Exact rewrites only: each keeps every bit of what the operators compute.",
    "O2": "Also rewrites that only change rounding. The default.",
    "O3": "As O2, less what is measured as slower on the target.",
}


def _pipeline(name: str, text: str) -> Entry:
    summary = _LEVELS.get(name, "A named pipeline.")
    return Entry(name, "pipeline", summary, None, example=text or "(no passes)")


def _pass(cls: type[Pass]) -> Entry:
    doc = _Doc.of(cls.__doc__)
    return Entry(
        cls.name,
        "pass",
        cls.summary,
        cls.exact,
        doc.text,
        doc.example,
        options=_options(cls, doc.attributes),
    )


def _options(cls: type[Pass], meanings: dict[str, str]) -> tuple[Option, ...]:
    if not dataclasses.is_dataclass(cls):
        return ()
    hints = typing.get_type_hints(cls)
    return tuple(
        Option(
            f.name.replace("_", "-"),
            getattr(hints[f.name], "__name__", str(hints[f.name])),
            _written(f.default),
            meanings.get(f.name, ""),
        )
        for f in dataclasses.fields(cls)
    )


def _written(default: object) -> str:
    if default is dataclasses.MISSING:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    return f'"{default}"' if isinstance(default, str) else str(default)


def _group(known: Registry, name: str) -> Entry:
    rules = known.groups[name]
    return Entry(
        name,
        "group",
        known.summaries.get(name, ""),
        all(rule.exact for rule in rules),
        example=f"{name}{{exact-only=true}}",
        options=(Option("exact-only", "bool", "false", "Leave out rules that change rounding."),),
        rules=tuple(rule.name for rule in rules),
    )


def _rule(rule: Rule, group: str) -> Entry:
    doc = _Doc.of(rule.doc)
    summary = rule.summary.replace("``", "`")
    return Entry(rule.name, "rule", summary, rule.exact, doc.text, doc.example, group=group)
