"""Going through the choices: what is timed against what, and what stays on."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnxopt.compiler.choices import Choice, Descent, Entrant
from onnxopt.compiler.race import Race
from onnxopt.runtime.timing_job import Lap


@dataclass
class Paper:
    """Models whose times are written down by what was switched off; equal times mean equal models."""

    times: dict[frozenset[str], float]
    raced: list[str] = field(default_factory=list)
    skipped: int = 0
    broken: frozenset[str] | None = None

    def build(self, off: frozenset[str]) -> Entrant:
        return Entrant(str(self.times[off]), off, off)

    def skip(self) -> None:
        self.skipped += 1

    def race(self, incumbent: Entrant, challenger: Entrant, title: str) -> Race:
        self.raced.append(title)
        for number, entrant in enumerate((incumbent, challenger)):
            if entrant.off == self.broken:
                return Race(broken=number, reason="no kernel")
        first, second = (self.times[entrant.off] for entrant in (incumbent, challenger))
        return Race([(Lap(first, first, 5), Lap(second, second, 5))] * 5)


def times(**by_off: float) -> dict[frozenset[str], float]:
    """Times by what is off, its letters joined; ``_`` stands for nothing."""
    return {frozenset(off.replace("_", "")): time for off, time in by_off.items()}


def settle(
    paper: Paper,
    *choices: tuple[str, tuple[tuple[str, ...], ...]],
    without: str = "",
    tentative: str = "",
) -> Descent:
    off = {n for name, found in choices if name == tentative for a in found for n in a}
    descent = Descent(paper, paper.build(frozenset(off)))
    for name, alternatives in choices:
        descent.settle(name, alternatives, without, tentative=name == tentative)
    return descent


def test_off_must_be_faster_beyond_noise() -> None:
    for time, decision in ((1.2, "on"), (0.99, "on"), (0.9, "off")):
        descent = settle(Paper(times(_=1.0, a=time)), ("a", (("a",),)))
        [choice] = descent.choices
        assert choice.decision == decision
        assert choice.off == (("a",) if decision == "off" else ())
        assert choice.ratio == time
        assert descent.best.off == frozenset(choice.off)


def test_why() -> None:
    found = [
        settle(Paper(times(_=1.0, a=time)), ("a", (("a",),))).choices[0].why
        for time in (1.2, 0.99, 0.9)
    ]
    assert found == [
        "off is 20.0 % slower than on",
        "off differs from on by 1.0 %, within noise",
        "off is 10.0 % faster than on",
    ]


def test_what_makes_no_difference_is_not_timed() -> None:
    paper = Paper(times(_=1.0, a=1.0))
    [choice] = settle(paper, ("a", (("a",),))).choices
    assert (choice.decision, choice.ratio, choice.trials) == ("on", None, ())
    assert (paper.raced, paper.skipped) == ([], 1)


def test_what_the_user_left_out_is_not_a_choice() -> None:
    paper = Paper(times(_=1.0))
    [choice] = settle(paper, ("a", (("a",),)), without="a").choices
    assert (choice.decision, choice.why) == ("off", "left out by the user")
    assert (paper.raced, paper.skipped) == ([], 1)


def test_later_choices_build_on_earlier_ones() -> None:
    paper = Paper(times(_=1.0, a=0.9, ab=0.8))
    descent = settle(paper, ("first", (("a",),)), ("second", (("b",),)))
    assert descent.best.off == {"a", "b"}
    assert [choice.off for choice in descent.choices] == [("a",), ("b",)]
    assert paper.raced == ["first off", "second off"]


def test_alternatives_are_switched_off_one_after_the_other() -> None:
    competing = ("attention", (("a",), ("b",)))
    cases = [
        (times(_=1.0, a=0.8, ab=0.9), "b", ("a",)),
        (times(_=1.0, a=1.1, ab=0.9), "off", ("a", "b")),
        (times(_=1.0, a=1.1, ab=1.2), "a", ()),
        (times(_=1.0, a=0.9, ab=0.8), "off", ("a", "b")),
    ]
    for table, decision, off in cases:
        [choice] = settle(Paper(table), competing).choices
        assert (choice.decision, choice.off) == (decision, off)
        assert [trial.state for trial in choice.trials] == ["b", "off"]


def test_a_tentative_choice_is_on_only_where_it_is_faster() -> None:
    for time, decision, off in ((0.9, "on", ()), (0.99, "off", ("a",)), (1.2, "off", ("a",))):
        paper = Paper(times(a=1.0, _=time))
        descent = settle(paper, ("maybe", (("a",),)), tentative="maybe")
        [choice] = descent.choices
        assert (choice.decision, choice.off, choice.default) == (decision, off, ("a",))
        assert choice.changed == (decision == "on")
        assert (paper.raced, choice.trials[0].before) == (["maybe on"], "off")
        assert descent.best.off == frozenset(off)


def test_alternatives_of_a_tentative_choice_are_tried_in_their_order() -> None:
    paper = Paper(times(ab=1.0, _=0.9, a=0.8))
    [choice] = settle(paper, ("maybe", (("a",), ("b",))), tentative="maybe").choices
    assert (choice.decision, choice.off) == ("b", ("a",))
    assert [(t.state, t.before) for t in choice.trials] == [("a", "off"), ("b", "a")]


def test_later_choices_keep_what_a_tentative_one_left_off() -> None:
    paper = Paper(times(a=1.0, _=1.1, ab=0.8))
    descent = settle(paper, ("maybe", (("a",),)), ("second", (("b",),)), tentative="maybe")
    assert [choice.off for choice in descent.choices] == [("a",), ("b",)]


def test_reverting_a_tentative_choice_switches_it_off() -> None:
    paper = Paper(times(a=1.0, _=0.9, b=0.8))
    descent = settle(paper, ("maybe", (("a",),)), ("second", (("b",),)), tentative="maybe")
    descent.revert(paper.build(frozenset("a")))
    assert [(c.decision, c.off) for c in descent.choices] == [("off", ("a",)), ("on", ())]


def test_a_state_that_does_not_run_is_not_chosen() -> None:
    paper = Paper(times(_=1.0, a=0.5), broken=frozenset("a"))
    [choice] = settle(paper, ("a", (("a",),))).choices
    assert (choice.decision, choice.why) == ("on", "off does not run: no kernel")
    paper = Paper(times(_=1.0, a=1.5), broken=frozenset())
    [choice] = settle(paper, ("a", (("a",),))).choices
    assert (choice.decision, choice.why) == ("off", "on does not run: no kernel")


def test_reverting_goes_back_to_the_default() -> None:
    paper = Paper(times(_=1.0, a=0.9, ab=0.8))
    descent = settle(paper, ("first", (("a",),)), ("second", (("b",),)))
    start = paper.build(frozenset())
    descent.revert(start)
    assert descent.best is start
    assert {(choice.decision, choice.off) for choice in descent.choices} == {("on", ())}


def test_choices_survive_a_file() -> None:
    from dataclasses import asdict
    from json import dumps, loads

    paper = Paper(times(_=1.0, a=0.9, ab=0.8))
    for choice in settle(paper, ("first", (("a",),)), ("second", (("b",),))).choices:
        assert Choice.from_json(loads(dumps(asdict(choice)))) == choice
