"""``--report FILE.html``: a page of a quantisation, and a refusal where a command has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import parser

from onnxopt.quantizing import run as quantising

from .conftest import Run, refusal

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[n,3,8,8] x) => (float[n,4,8,8] y) { [LAYER] a = Conv<pads=[1,1,1,1]>(x, w1)  y = Conv(a, w2) }"""


@pytest.fixture
def model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a name that is markup, and samples; nothing is timed."""
    rng = np.random.default_rng(5)
    proto = parser.parse_model(TEXT)
    proto.graph.node[0].name = "<script>alert(1)</script>"
    for name, shape in {"w1": (6, 3, 3, 3), "w2": (4, 6, 1, 1)}.items():
        numbers = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(numbers, name))
    onnx.save(proto, folder / "model.onnx")
    np.savez(folder / "data.npz", x=rng.normal(size=(4, 3, 8, 8)).astype(np.float32))
    monkeypatch.setattr(quantising._Job, "_time", lambda *_: None)
    return folder / "model.onnx"


def test_a_command_without_a_page_says_so(run: Run, good: Path) -> None:
    line = refusal(run("optimize", good, "-o", "out.onnx", "--report", "page.html"), 2)
    assert "FILE.json" in line
    assert not Path("out.onnx").exists()


def test_quantize_writes_a_page(run: Run, model: Path) -> None:
    common = ["--calibrate", "data.npz", "--target", "ort-cpu", "--no-validate"]
    result = run("quantize", model, "-o", "out.onnx", *common, "--report", "page.html")
    assert result.exit_code == 0, result.output
    text = Path("page.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.count("<script>") == 1
    assert "--exclude &#x27;&lt;script&gt;alert(1)&lt;/script&gt;&#x27;" in text
    assert "<figcaption>" in text  # histograms, which a page asks for
    assert "--exclude '<script>alert(1)</script>'" in result.stdout
