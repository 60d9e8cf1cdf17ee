"""What the import contract cannot see: the compiler never names its passes' package in an import."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imports(path: Path) -> Iterator[str]:
    """Every module a file imports; relative ones in full."""
    package = [*path.relative_to(ROOT).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def test_nothing_in_the_compiler_imports_a_pass() -> None:
    for path in (ROOT / "onnxopt").rglob("*.py"):
        for module in imports(path):
            assert not f"{module}.".startswith(("onnxopt.passes.", "passes.")), path


def test_passes_import_each_other_relatively() -> None:
    for path in (ROOT / "passes").rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                assert not f"{node.module}.".startswith(("onnxopt.passes.", "passes.")), path


def test_only_the_runtime_layer_touches_onnxruntime() -> None:
    for folder in ("onnxopt", "passes"):
        for path in (ROOT / folder).rglob("*.py"):
            if "onnxruntime" in {module.split(".")[0] for module in imports(path)}:
                assert path.is_relative_to(ROOT / "onnxopt" / "runtime"), path
