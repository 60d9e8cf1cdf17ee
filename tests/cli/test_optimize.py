"""``onnxopt optimize``: what it writes, prints, and answers to each option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from . import faulty
from .conftest import Run, refusal, snapshot
from .samples import model_with_weight, signed, write_good

CUSTOM = """<ir_version: 8, opset_import: ["" : 17, "somebody" : 1]>
agraph (float[N,4] x) => (float[N,4] y) { a = Relu (x) b = Relu (a) y = somebody.Own (b) }"""
OVERRIDABLE = """<ir_version: 8, opset_import: ["" : 17]>
agraph (float[N,4] x, float[1] w) => (float[N,4] y)
<float[1] w = {1.0}> { a = Mul (x, w) y = Tanh (a) }"""


def ops(path: Path | str) -> list[str]:
    return [node.op_type for node in onnx.load(str(path)).graph.node]


def report(run: Run, *args: str | Path, code: int = 0) -> dict[str, Any]:
    result = run("optimize", *args, "--json")
    assert result.exit_code == code, result.output
    data: dict[str, Any] = json.loads(result.stdout)
    return data


def test_writes_a_smaller_model_and_says_so(run: Run, folder: Path, good: Path) -> None:
    before = good.read_bytes()
    result = run("optimize", good, "-o", "out.onnx")
    assert result.exit_code == 0, result.output
    assert ops("out.onnx") == ["Relu", "Tanh"]
    assert good.read_bytes() == before
    assert set(snapshot(folder)) == {"good.onnx", "out.onnx"}
    words = " ".join(result.stdout.split())
    assert "nodes 5 2 -60.0%" in words
    assert "Validation passed" in words
    assert result.stderr == ""


def test_replaces_an_older_output_and_keeps_its_neighbours(
    run: Run, folder: Path, good: Path
) -> None:
    (folder / "out.onnx").write_text("old")
    (folder / "other").write_text("mine")
    assert run("optimize", good, "-o", "out.onnx").exit_code == 0
    assert ops("out.onnx") == ["Relu", "Tanh"]
    assert (folder / "other").read_text() == "mine"


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_levels(run: Run, good: Path, level: int) -> None:
    data = report(run, good, "-o", "out.onnx", f"-O{level}")
    assert data["pipeline"] == f"O{level}"
    assert (data["after"]["nodes"] == data["before"]["nodes"]) is (level == 0)


def test_json_is_all_there_is_on_standard_output(run: Run, folder: Path, good: Path) -> None:
    data = report(run, good, "-o", "out.onnx", "--report", "report.json", "--stats")
    assert json.loads((folder / "report.json").read_text()) == data
    assert data["model"] == str(good)
    assert data["output"] == "out.onnx"
    assert (data["before"]["nodes"], data["after"]["nodes"]) == (5, 2)
    assert data["after"]["bytes"] == (folder / "out.onnx").stat().st_size
    assert data["validation"]["status"] == "passed"
    assert set(snapshot(folder)) == {"good.onnx", "out.onnx", "report.json"}


def test_passes_and_disable(run: Run, good: Path) -> None:
    text = "simplify, remove-dead-nodes"
    data = report(run, good, "-o", "a.onnx", "--passes", text, "--no-validate")
    assert {record["name"] for record in data["passes"]} == {"simplify", "remove-dead-nodes"}
    fired = data["rules"]["fired"]
    assert fired["remove-identity"] == 1
    data = report(run, good, "-o", "b.onnx", "--disable", "remove-identity", "--no-validate")
    assert "remove-identity" not in data["rules"]["fired"]
    assert "Identity" in ops("b.onnx")


def test_target(run: Run, good: Path) -> None:
    assert (
        report(run, good, "-o", "out.onnx", "--target", "generic", "--no-validate")["after"][
            "nodes"
        ]
        == 2
    )


def test_input_shape_and_dim(run: Run, good: Path) -> None:
    for args in (("--input-shape", "x:3,4"), ("--dim", "N=3")):
        data = report(run, good, "-o", "out.onnx", *args)
        assert data["validation"]["status"] == "passed"
        for value in (*onnx.load("out.onnx").graph.input, *onnx.load("out.onnx").graph.output):
            assert [d.dim_value for d in value.type.tensor_type.shape.dim] == [3, 4]


def test_opset(run: Run, good: Path) -> None:
    report(run, good, "-o", "out.onnx", "--opset", "20", "--no-validate")
    assert [o.version for o in onnx.load("out.onnx").opset_import] == [20]


def test_freeze_inputs(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", OVERRIDABLE)
    report(run, "m.onnx", "-o", "kept.onnx", "--no-validate")
    assert [v.name for v in onnx.load("kept.onnx").graph.input] == ["x", "w"]
    report(run, "m.onnx", "-o", "frozen.onnx", "--freeze-inputs")
    assert [v.name for v in onnx.load("frozen.onnx").graph.input] == ["x"]
    assert ops("frozen.onnx") == ["Tanh"]


def test_samples(run: Run, folder: Path, good: Path) -> None:
    np.savez(folder / "one.npz", x=signed(3, 4))
    np.savez(folder / "two.npz", x=-10 * signed(7, 4))
    data = report(run, good, "-o", "out.onnx", "--inputs", "one.npz", "--inputs", "two.npz")
    shapes = [s["shapes"] for s in data["validation"]["providers"][0]["samples"]]
    assert shapes == [{"x": [3, 4]}, {"x": [7, 4]}]
    np.savez(folder / "wrong.npz", x=signed(3, 5))
    line = refusal(run("optimize", good, "-o", "no.onnx", "--inputs", "wrong.npz"), 2)
    assert "wrong.npz" in line
    assert not (folder / "no.onnx").exists()


def test_provider(run: Run, good: Path) -> None:
    data = report(run, good, "-o", "out.onnx", "--provider", "cpu")
    names = [p["provider"] for p in data["validation"]["providers"]]
    assert names == ["CPUExecutionProvider"]


def test_provider_that_is_missing(run: Run, folder: Path, good: Path) -> None:
    line = refusal(run("optimize", good, "-o", "out.onnx", "--provider", "rocm"), 4)
    assert "rocm" in line
    assert not (folder / "out.onnx").exists()


def test_tolerances(run: Run, good: Path) -> None:
    data = report(run, good, "-o", "out.onnx", "--rtol", "1e-3", "--atol", "1e-5")
    assert (data["validation"]["rtol"], data["validation"]["atol"]) == (1e-3, 1e-5)


def test_no_validate(run: Run, good: Path) -> None:
    assert report(run, good, "-o", "out.onnx", "--no-validate")["validation"] is None
    result = run("optimize", good, "-o", "out.onnx", "--no-validate")
    assert "not asked for" in result.stdout


def test_model_that_cannot_run_here(run: Run, folder: Path) -> None:
    write_good(folder / "m.onnx", CUSTOM)
    result = run("optimize", "m.onnx", "-o", "out.onnx")
    assert result.exit_code == 0
    assert "not validated" in result.stdout
    assert "somebody" in result.stdout
    assert ops("out.onnx") == ["Relu", "Own"]
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--json")
    assert json.loads(result.stdout)["validation"]["status"] == "not-validated"
    assert result.stderr.startswith("warning: m.onnx: not validated: ")


def test_require_validation(run: Run, folder: Path, good: Path) -> None:
    write_good(folder / "m.onnx", CUSTOM)
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--require-validation")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: m.onnx: not validated: ")
    assert not (folder / "out.onnx").exists()
    assert run("optimize", good, "-o", "out.onnx", "--require-validation").exit_code == 0


def test_external_data(run: Run, folder: Path) -> None:
    weight = onnx.numpy_helper.from_array(signed(600, 2, 4), "w")
    (folder / "m.onnx").write_bytes(model_with_weight(weight))
    assert run("optimize", "m.onnx", "-o", "in.onnx", "--external-data", "never").exit_code == 0
    assert run("optimize", "m.onnx", "-o", "out.onnx", "--external-data", "always").exit_code == 0
    assert set(snapshot(folder)) == {"m.onnx", "in.onnx", "out.onnx", "out.onnx.data"}
    for name in ("in.onnx", "out.onnx"):
        loaded = onnx.numpy_helper.to_array(onnx.load(name).graph.initializer[0])
        assert np.array_equal(loaded, signed(600, 2, 4))
    assert run("inspect", "out.onnx").exit_code == 0


def test_print_after(run: Run, good: Path) -> None:
    fast = ("--no-validate",)
    result = run("optimize", good, "-o", "out.onnx", "--print-after", "simplify", *fast)
    assert "// after simplify:" in result.stderr
    assert "y = Tanh (" in result.stderr
    assert "// after" not in result.stdout
    everything = run("optimize", good, "-o", "out.onnx", "--print-after", "all", "--json", *fast)
    assert "// after lift-constants:" in everything.stderr
    json.loads(everything.stdout)


def test_stats_show_what_fired_and_why_others_declined(run: Run, folder: Path) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17]>
    agraph (float[N,4] x) => (float[N,4] a, float[N,4] y) {
      a = Identity (x) b = Identity (x) y = Tanh (b) }"""
    write_good(folder / "m.onnx", text)
    result = run("optimize", "m.onnx", "-o", "out.onnx", "--stats", "--no-validate")
    table = result.stdout[result.stdout.index("Rules\n") :]
    rows = [line.split() for line in table.splitlines()]
    [row] = [row for row in rows if row[:1] == ["remove-identity"]]
    declined = report(run, "m.onnx", "-o", "out.onnx", "--no-validate")["rules"]["declined"]
    declined = declined["remove-identity"]
    [(reason, times)] = declined.items()
    assert row[1:4] == ["1", str(times), str(times)]
    assert reason.split()[0] in row


def test_time_passes(run: Run, good: Path) -> None:
    result = run("optimize", good, "-o", "out.onnx", "--time-passes", "--no-validate")
    lines = result.stdout[result.stdout.index("Time by pass") :].splitlines()
    assert any(line.startswith("simplify") for line in lines)
    assert any(line.startswith("all ") for line in lines)


def test_bisect_limit(run: Run, good: Path) -> None:
    fast = ("--no-validate",)
    data = report(run, good, "-o", "out.onnx", "--passes", "simplify", "--bisect-limit", "1", *fast)
    assert len(data["rewrites"]) == 1
    data = report(run, good, "-o", "out.onnx", "--passes", "simplify", "--bisect-limit", "0", *fast)
    assert data["rewrites"] == []


def test_rewrite_that_changes_the_result_is_left_out(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.install(monkeypatch)
    args = (good, "-o", "out.onnx", "--passes", "simplify, wrong-tanh")
    result = run("optimize", *args)
    assert result.exit_code == 0, result.output
    assert ops("out.onnx")[-1] == "Tanh"
    assert "Left out, because they changed the results" in result.stdout
    assert "wrong-tanh at " in result.stdout
    data = report(run, *args)
    assert [site.partition("@")[0] for site in data["left_out"]] == ["wrong-tanh"]


def test_result_that_cannot_be_repaired(
    run: Run, folder: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.install(monkeypatch)
    args = ("optimize", good, "-o", "out.onnx", "--passes", "behind-the-gate")
    result = run(*args)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {good}: the optimised model does not match")
    assert len(result.stderr.splitlines()) == 1
    assert "Validation failed" in " ".join(result.stdout.split())
    assert set(snapshot(folder)) == {"good.onnx"}
    result = run(*args, "--json", "--report", "report.json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["validation"]["status"] == "failed"
    assert set(snapshot(folder)) == {"good.onnx", "report.json"}


def test_pass_that_raises_is_skipped_with_a_reproducer(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faulty.install(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    args = (good, "-o", "out.onnx", "--passes", "raises, simplify", "--disable", "fuse")
    data = report(run, *args, "--no-validate")
    [failure] = data["failures"]
    assert failure["name"] == "raises"
    assert "lost" in failure["message"]
    place = Path(failure["reproducer"])
    onnx.checker.check_model(onnx.load(str(place / "model.onnx")))
    assert "--passes 'raises, simplify' --disable fuse" in (place / "command.txt").read_text()
    assert "Identity" not in ops("out.onnx")
    assert "Pass raises failed and was skipped" in run("optimize", *args, "--no-validate").stdout


def test_output_keeps_the_mode_of_the_file_it_replaces(run: Run, folder: Path, good: Path) -> None:
    (folder / "out.onnx").touch(0o640)
    args = ("optimize", good, "-o", "out.onnx", "--no-validate")
    assert run(*args).exit_code == 0
    assert (folder / "out.onnx").stat().st_mode & 0o777 == 0o640
    assert (folder / "out.onnx").stat().st_size > 0


def test_longest_name_a_file_may_have(run: Run, good: Path) -> None:
    name = f"{'a' * 250}.onnx"
    done = run("optimize", good, "-o", name, "--no-validate", "--report", "report.json")
    assert done.exit_code == 0, done.stderr
    onnx.checker.check_model(onnx.load(name))


def test_no_room_for_a_reproducer_does_not_stop_the_work(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faulty.install(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    args = (good, "-o", "out.onnx", "--passes", "raises, simplify", "--no-validate")
    [failure] = report(run, *args)["failures"]
    assert (failure["name"], failure["reproducer"]) == ("raises", None)
    assert "Identity" not in ops("out.onnx")


@pytest.mark.parametrize("args", [(), ("--verify-each",), ("--no-validate",)])
def test_pass_that_breaks_the_structure_is_skipped(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, args: tuple[str, ...]
) -> None:
    faulty.install(monkeypatch)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    data = report(run, good, "-o", "out.onnx", "--passes", "breaks, simplify", *args)
    assert [failure["name"] for failure in data["failures"]] == ["breaks"]
    assert "nobody" in data["failures"][0]["message"]
    onnx.checker.check_model(onnx.load("out.onnx"))


def test_unexpected_errors_take_one_line_unless_debugging(
    run: Run, folder: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(*_: object, **__: object) -> None:
        raise ZeroDivisionError("by\nsurprise")

    monkeypatch.setattr("onnxopt.api.optimise", explode)
    line = refusal(run("optimize", good, "-o", "out.onnx"), 3)
    assert "internal error: ZeroDivisionError: by surprise" in line
    assert "--debug" in line
    result = run("optimize", good, "-o", "out.onnx", "--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert "in explode" in result.stderr
    assert set(snapshot(folder)) == {"good.onnx"}


def test_debug_shows_where_an_expected_error_comes_from(run: Run, folder: Path) -> None:
    (folder / "bad.onnx").touch()
    result = run("inspect", "bad.onnx", "--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("error: bad.onnx: ")
