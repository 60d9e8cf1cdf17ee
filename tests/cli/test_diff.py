"""``onnxopt diff``: output and exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from .conftest import Run, refusal
from .samples import BAD, GOOD, write_good

GOLDEN = Path(__file__).with_name("diff.md")
BEFORE = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,4] x) => (float[N,3] y)
<float[4,3] w = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}, float[3] b = {1,-1,2}>
{
  i = Identity (x)
  m = MatMul (i, w)
  a = Add (m, b)
  s = Sigmoid (a)
  t = Mul (a, s)
  y = LeakyRelu <alpha = 0.5> (t)
}"""
AFTER = """<ir_version: 9, opset_import: ["" : 17, "com.microsoft" : 1]>
agraph (float[M,4] x) => (float[M,3] y)
<float[4,3] v = {1,-2,3,-4,5,-6,7,-8,9,-10,11,-12}, float[3] b = {1,-1,2.5}>
{
  m = MatMul (x, v)
  a = Add (m, b)
  t = com.microsoft.QuickGelu <alpha = 1.0> (a)
  y = LeakyRelu <alpha = 0.25> (t)
}"""


@pytest.fixture
def pair(folder: Path) -> tuple[Path, Path]:
    write_good(folder / "a.onnx", BEFORE)
    write_good(folder / "b.onnx", AFTER)
    return Path("a.onnx"), Path("b.onnx")


def test_equal_models(run: Run, folder: Path, good: Path) -> None:
    text = GOOD.replace("first", "p").replace("second", "q").replace("one", "uno")
    write_good(folder / "same.onnx", text)
    result = run("diff", good, "same.onnx")
    assert result.exit_code == 0, result.output
    assert "No difference" in result.stdout


def test_different_models(run: Run, pair: tuple[Path, Path]) -> None:
    result = run("diff", *pair)
    assert result.exit_code == 1, result.output
    words = " ".join(result.stdout.split())
    for expected in ("2 unchanged", "QuickGelu", "alpha 0.5 → 0.25", "it passes its input on"):
        assert expected in words
    assert run("diff", *pair, "--exit-zero").exit_code == 0


def test_json(run: Run, pair: tuple[Path, Path]) -> None:
    result = run("diff", *pair, "--json", "--dim", "N=5", "--dim", "M=5")
    assert result.exit_code == 1
    data = json.loads(result.stdout)
    assert (data["a"], data["b"], data["different"]) == ("a.onnx", "b.onnx", True)
    assert data["nodes"]["counts"] == {"fused": 2, "removed": 1, "changed": 1}
    assert data["weights"]["counts"] == {"changed": 1}
    assert data["weights"]["changes"][0]["figures"]["max_abs"] == 0.5
    assert data["before"]["macs"] == data["after"]["macs"] == 60


def test_markdown(run: Run, pair: tuple[Path, Path]) -> None:
    result = run("diff", *pair, "--markdown")
    assert result.exit_code == 1
    if os.environ.get("ONNXOPT_GOLDEN_UPDATE") == "1":
        GOLDEN.write_text(result.stdout, encoding="utf-8")
    assert result.stdout == GOLDEN.read_text(encoding="utf-8")
    page = Path(__file__).resolve().parents[2] / "docs" / "diff.md"
    assert f"```markdown\n{result.stdout}```\n" in page.read_text(encoding="utf-8")


def test_markdown_escapes_names(run: Run, folder: Path, good: Path) -> None:
    text = GOOD.replace("float[N,4] x", 'float["a|b",4] x')
    write_good(folder / "odd.onnx", text.replace('"a|b"', "a_b"))
    result = run("diff", good, "odd.onnx", "--markdown")
    assert "| [N, 4] | [a\\_b, 4] |" in result.stdout


def test_long_lists_are_cut(run: Run, folder: Path) -> None:
    sums = "".join(f"h{i + 1} = Add (h{i}, w{i})\n" for i in range(12))
    for name, step in (("a.onnx", 1), ("b.onnx", 2)):
        weights = ", ".join(f"float[2] w{i} = {{{i}.5, -{i + step}}}" for i in range(12))
        text = f"""<ir_version: 8, opset_import: ["" : 17]>
        g (float[N,2] h0) => (float[N,2] h12) <{weights}> {{ {sums} }}"""
        write_good(folder / name, text)
    shorter = run("diff", "a.onnx", "b.onnx").stdout
    assert "and 2 more (--all)" in shorter
    longer = run("diff", "a.onnx", "b.onnx", "--all").stdout
    assert "(--all)" not in longer
    assert "12 changed" in shorter
    assert all(f"w{i} " in longer for i in range(12))


def test_markdown_and_json_exclude_each_other(run: Run, pair: tuple[Path, Path]) -> None:
    line = refusal(run("diff", *pair, "--json", "--markdown"), 2)
    assert "exclude each other" in line


@pytest.mark.parametrize("kind", ["empty", "text", "absent", "cyclic", "short-weights"])
def test_bad_models_are_refused(run: Run, folder: Path, good: Path, kind: str) -> None:
    make, word = BAD[kind]
    make(folder / "bad.onnx")
    for args in ((good, "bad.onnx"), ("bad.onnx", good)):
        line = refusal(run("diff", *args), 3)
        assert "bad.onnx" in line or word in line
