"""Level 3 from model to file, with a stopwatch that goes by the number of nodes, and once with the real one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import onnx
import onnx.parser
import onnx_ir as ir
import pytest

import onnxopt
from onnxopt.pipeline.base import Context, Pass
from onnxopt.pipeline.registry import registry
from onnxopt.rewrite import Builder, Match, op, rule
from onnxopt.runtime import stopwatch
from onnxopt.runtime.timing_job import Lap

TEXT = """<ir_version: 8, opset_import: ["" : 17]>
g (float[N,4] x) => (float[N,4] y)
<float[4,4] a = {1,-2,3,4,5,-6,7,8,9,1,-2,3,4,5,6,-7}, float[4,4] b = {4,3,-2,1,4,3,2,1,4,3,2,-1,4,3,2,1},
 float[4,4] c = {2,2,2,2,-1,1,1,1,2,2,-2,2,1,1,1,1}>
{ p = MatMul(x, a) q = MatMul(x, b) r = MatMul(x, c) s = Mul(p, q) t = Relu(s) u = Relu(t) y = Mul(u, r) }"""
TARGET = """summary = "The CPU, as in these tests"
providers = ["CPUExecutionProvider"]
[choices]
merged-projections = ["merge-projections"]
"""


class Paper:
    """A stopwatch that looks at operators instead of a clock."""

    split = 1.0
    relu = 1.0
    watched: ClassVar[list[tuple[str, ...]]] = []

    def __init__(self, *_: object) -> None:
        pass

    def __enter__(self) -> Paper:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def pick_sample(self, original: Path, *_: object) -> dict[str, Any]:
        assert original.is_file()
        return {"x": [2, 4]}

    def round(self, first: Path, second: Path) -> stopwatch.Round:
        laps = []
        for path in (first, second):
            ops = [node.op_type for node in onnx.load(path).graph.node]
            time = len(ops) + self.split * ops.count("Split") + self.relu * ops.count("Relu")
            laps.append(Lap(time, time, 5))
        type(self).watched.append((str(first), str(second)))
        return laps[0], laps[1]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(TEXT), path)
    return path


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "here.toml"
    path.write_text(TARGET)
    return str(path)


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> type[Paper]:
    monkeypatch.setattr(stopwatch, "Stopwatch", Paper)
    monkeypatch.setattr(Paper, "watched", [])
    return Paper


def optimise(model: Path, target: str, **options: Any) -> onnxopt.Result:
    return onnxopt.optimize(model, level=3, target=target, validate=False, **options)


def changed(target: str, text: str) -> str:
    """A target of the same name with another text."""
    path = Path(target).with_name("changed") / Path(target).name
    path.parent.mkdir()
    path.write_text(text)
    return str(path)


def ops(result: onnxopt.Result) -> list[str]:
    return [node.op_type for node in result.model.graph]


def test_what_is_not_slower_stays(model: Path, target: str, paper: type[Paper]) -> None:
    result = optimise(model, target)
    [choice] = result.choices
    assert (choice.name, choice.decision) == ("merged-projections", "on")
    assert "Split" in ops(result)
    assert result.measured is not None
    assert result.measured.whole.verdict == "faster"
    assert paper.watched


def test_what_is_slower_is_left_out(
    model: Path, target: str, paper: type[Paper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "split", 5.0)
    out = model.with_name("out.onnx")
    result = optimise(model, target, output=out)
    [choice] = result.choices
    assert (choice.decision, choice.off) == ("off", ("merge-projections",))
    assert ops(result).count("MatMul") == 3
    assert [node.op_type for node in onnx.load(out).graph.node] == ops(result)
    assert sorted(p.name for p in model.parent.iterdir()) == ["here.toml", "model.onnx", "out.onnx"]
    report = json.loads(json.dumps(result.to_json()))
    assert report["measured"]["choices"][0]["decision"] == "off"


@rule(op.Mul("x", "y"), exact=True)
def test_wrong(m: Match, build: Builder) -> ir.Value:
    """Replace a function by another."""
    return build.op("Add", m.value("x"), m.value("y"))


@pytest.mark.usefixtures("paper")
def test_repair_works_on_what_was_decided(
    model: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Paper, "split", 5.0)
    monkeypatch.setitem(registry().rules, test_wrong.name, test_wrong)
    wrong = changed(target, f'pipeline = "test-wrong"\n{TARGET}')
    result = onnxopt.optimize(model, level=3, target=wrong)
    assert [site.partition("@")[0] for site in result.left_out] == ["test-wrong"] * 2
    assert result.choices[0].decision == "off"
    assert ops(result).count("MatMul") == 3
    assert result.validation is not None
    assert result.validation.status == "passed"


class Raises(Pass):
    """Raises."""

    name: ClassVar[str] = "raises"
    summary: ClassVar[str] = "Raise."

    def run(self, context: Context) -> int:  # noqa: ARG002
        """Raises."""
        raise KeyError("lost")


@pytest.mark.usefixtures("paper")
def test_a_reproducer_switches_off_what_was_switched_off(
    model: Path, target: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(Paper, "split", 5.0)
    monkeypatch.setitem(registry().passes, Raises.name, Raises)
    failing = changed(target, f'pipeline = "raises"\n{TARGET}')
    [failure] = optimise(model, failing).failures
    assert failure.reproducer is not None
    command = (Path(failure.reproducer) / "command.txt").read_text()
    assert "--disable merge-projections" in command


@pytest.mark.parametrize(("failing", "decision"), [("Split", "off"), ("Relu", "on")])
def test_what_does_not_run_loses_to_what_does(
    model: Path,
    target: str,
    paper: type[Paper],
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    decision: str,
) -> None:
    def fussy(self: Paper, first: Path, second: Path) -> stopwatch.Round:
        for number, path in enumerate((first, second)):
            if failing in [node.op_type for node in onnx.load(path).graph.node]:
                raise stopwatch.CannotTime("no kernel", number)
        return timed(self, first, second)

    timed = paper.round
    monkeypatch.setattr(paper, "round", fussy)
    assert optimise(model, target).choices[0].decision == decision


@pytest.mark.usefixtures("paper")
def test_bisecting_goes_by_timings(
    model: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = model.with_name("timings.json")
    monkeypatch.setattr(Paper, "split", 5.0)
    optimise(model, target, timings=timings)
    monkeypatch.setitem(registry().rules, test_wrong.name, test_wrong)
    wrong = changed(target, f'pipeline = "test-wrong"\n{TARGET}')
    with_it, without = (
        onnxopt.bisect(model, level=3, target=wrong, timings=file) for file in (None, timings)
    )
    assert with_it is not None
    assert without is not None
    assert (with_it.rule, without.rule) == ("test-wrong", "test-wrong")
    assert with_it.total == without.total + 1


def test_rounds_alternate(model: Path, target: str, paper: type[Paper]) -> None:
    optimise(model, target)
    (a, b), (c, d) = paper.watched[:2]
    assert (a, b) == (d, c)
    assert a != b


def test_a_result_slower_than_the_original_is_not_used(
    model: Path, target: str, paper: type[Paper], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paper, "relu", -2.0)
    result = optimise(model, target)
    assert ops(result).count("Relu") == 2
    assert result.measured is not None
    assert (result.measured.whole.verdict, result.measured.whole.kept) == ("slower", False)
    assert result.pipeline == "O0"


@pytest.mark.usefixtures("paper")
def test_with_timings_nothing_is_measured(
    model: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    timings = model.with_name("timings.json")
    monkeypatch.setattr(Paper, "split", 5.0)
    first = optimise(model, target, timings=timings)
    text = timings.read_text()
    monkeypatch.delattr(stopwatch, "Stopwatch")
    second = optimise(model, target, timings=timings)
    assert second.choices == first.choices
    assert ops(second) == ops(first)
    assert second.measured is not None
    assert second.measured.source == str(timings)
    assert timings.read_text() == text


@pytest.mark.usefixtures("paper")
def test_timings_name_the_model_by_what_it_computes_from(model: Path, target: str) -> None:
    timings = model.with_name("timings.json")
    optimise(model, target, timings=timings)
    renamed = model.with_name("renamed.onnx")
    text = TEXT.replace("p = ", "proj = ").replace("Mul(p,", "Mul(proj,").replace("{1,", "{2.5,")
    onnx.save(onnx.parser.parse_model(text), renamed)
    assert optimise(renamed, target, timings=timings).measured is not None
    onnx.save(onnx.parser.parse_model(TEXT.replace("Relu(t)", "Tanh(t)")), renamed)
    with pytest.raises(
        onnxopt.UsageError, match=r"timings\.json: the timings are of another model"
    ):
        optimise(renamed, target, timings=timings)


@pytest.mark.usefixtures("paper")
def test_timings_of_something_else_are_refused(model: Path, target: str, tmp_path: Path) -> None:
    timings = model.with_name("timings.json")
    optimise(model, target, timings=timings)
    other = tmp_path / "there.toml"
    other.write_text(TARGET)
    more = changed(target, TARGET + 'more = ["fuse"]\n')
    with pytest.raises(onnxopt.UsageError, match="of target here, not there"):
        optimise(model, str(other), timings=timings)
    with pytest.raises(onnxopt.UsageError, match="another model or other dims"):
        optimise(model, target, timings=timings, dims={"N": 3})
    with pytest.raises(onnxopt.UsageError, match="leaves out nothing, this one simplify"):
        optimise(model, target, timings=timings, disable=["simplify"])
    with pytest.raises(onnxopt.UsageError, match="other alternatives for more"):
        optimise(model, more, timings=timings)
    for wrong in ("", "[]", '{"format": 1}', '{"format": 2}', '{"format": 2, "of": 3}'):
        timings.write_text(wrong)
        with pytest.raises(onnxopt.UsageError, match=r"timings\.json: not a file of timings"):
            optimise(model, target, timings=timings)


@pytest.mark.usefixtures("paper")
def test_another_runtime_is_noted(model: Path, target: str) -> None:
    timings = model.with_name("timings.json")
    optimise(model, target, timings=timings)
    data = json.loads(timings.read_text())
    data["machine"]["onnxruntime"] = "0.1"
    timings.write_text(json.dumps(data))
    measured = optimise(model, target, timings=timings).measured
    assert measured is not None
    [note] = measured.notes
    assert "measured with onnxruntime 0.1, this is" in note


def test_a_provider_that_is_missing_needs_timings(model: Path, target: str) -> None:
    elsewhere = changed(target, TARGET.replace("CPU", "Rknpu"))
    with pytest.raises(
        onnxopt.RuntimeMissingError, match=r"-O3 has to measure, and provider.*--timings"
    ):
        optimise(model, elsewhere)


@pytest.mark.usefixtures("paper")
def test_with_timings_a_provider_may_be_missing(model: Path, target: str) -> None:
    timings = model.with_name("timings.json")
    optimise(model, target, timings=timings)
    elsewhere = changed(target, TARGET.replace("CPU", "Rknpu"))
    assert optimise(model, elsewhere, timings=timings).choices


def test_without_time_the_default_stays(model: Path, target: str, paper: type[Paper]) -> None:
    timings = model.with_name("timings.json")
    result = optimise(model, target, measure_budget=1e-9, timings=timings)
    [choice] = result.choices
    assert (choice.decision, choice.why) == ("on", "not settled: no time left (--measure-budget)")
    assert paper.watched == []
    assert optimise(model, target, timings=timings).choices == [choice]


@pytest.mark.usefixtures("paper")
def test_generic_measures_nothing_and_wants_no_timings(model: Path) -> None:
    assert optimise(model, "generic").measured is None
    with pytest.raises(onnxopt.UsageError, match="target generic has nothing to time"):
        optimise(model, "generic", timings="t.json")
    for options in ({"level": 2}, {"level": 3, "passes": "fold"}):
        with pytest.raises(onnxopt.UsageError, match="ask for -O3"):
            onnxopt.optimize(model, timings="t.json", **options)


@pytest.mark.usefixtures("paper")
def test_timings_must_have_a_place(model: Path, target: str, tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "nosuch" / "t.json"):
        with pytest.raises(onnxopt.ModelError, match="cannot write"):
            optimise(model, target, timings=place)
    out = tmp_path / "out.onnx"
    with pytest.raises(onnxopt.ModelError, match="would overwrite the model"):
        optimise(model, target, output=out, timings=out)


def test_a_model_that_does_not_run_is_built_as_at_level_2(target: str) -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "somebody" : 1]>
    g (float[N,4] x) => (float[N,4] y) { a = Relu(x) b = Relu(a) y = somebody.Op(b) }"""
    result = onnxopt.optimize(onnx.parser.parse_model(text), level=3, target=target)
    assert ops(result) == ["Relu", "Op"]
    assert result.measured is not None
    [note] = result.measured.notes
    assert note.startswith("nothing was measured: the original does not load")


def test_on_the_real_runtime(model: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxopt.compiler.race.MAX_ROUNDS", 2)
    timings, out = model.with_name("timings.json"), model.with_name("out.onnx")
    result = onnxopt.optimize(
        model, out, level=3, target=target, timings=timings, measure_budget=300
    )
    [choice] = result.choices
    assert choice.decision in ("on", "off")
    assert choice.trials[0].rounds > 0
    assert result.measured is not None
    assert result.measured.sample == {"x": [4, 4]}
    assert result.validation is not None
    assert result.validation.status == "passed"
    again = onnxopt.optimize(model, out, level=3, target=target, timings=timings)
    assert again.choices == result.choices
    assert again.sites == result.sites
