"""``onnxopt convert`` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner

from onnxopt.cli import program

MODEL = str(Path(__file__).resolve().parents[2] / "models" / "digits_cnn.onnx")


def run(*args: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(program, ["convert", *args], prog_name="onnxopt")
    status = done.exit_code
    return status, done.stdout, done.stderr


def test_report_is_json_and_also_goes_to_a_file(tmp_path: Path) -> None:
    out, report = tmp_path / "out.onnx", tmp_path / "report.json"
    status, text, _ = run(MODEL, "-o", str(out), "--to", "fp16", "--json", "--report", str(report))
    assert status == 0
    data = json.loads(text)
    assert data["validation"]["status"] == "passed"
    assert data["kept"] == {}
    assert json.loads(report.read_text()) == data


def test_types_and_kept_operators_are_passed_on(tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    status, _, errors = run(
        *(MODEL, "-o", str(out), "--to", "fp16", "--keep", "Gemm", "--io-types", "converted"),
        "--no-validate",
    )
    assert status == 0, errors
    graph = onnx.load(out).graph
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    assert "Cast" in [n.op_type for n in graph.node]


@pytest.mark.parametrize(
    "args",
    [
        ("--to", "fp8"),
        (),
        ("--to", "fp16", "--keep", "Nothing"),
        ("--to", "fp16", "--io-types", "z"),
    ],
)
def test_wrong_usage(args: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["convert", MODEL, "-o", str(tmp_path / "o.onnx"), "--no-validate", *args])
    assert ended.value.code == 2
    assert not (tmp_path / "o.onnx").exists()
