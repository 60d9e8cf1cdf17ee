"""Choosing among alternatives by measuring: one choice after the other, the rest held fast.

All alternatives are on at first, but for those of tentative choices; where several compete for a place, the first that
fits gets it. For each choice the first alternative is switched off, then the second as well, and so on to none; a
tentative choice begins at none and tries the others. A state replaces the best so far only where it is measured faster
beyond noise, so nothing changes where nothing is known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from .race import Race, Verdict

Alternatives = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Trial:
    """A state of a choice, timed against the best so far.

    Attributes:
        state: What was on.
        before: What was on in the best so far.
        verdict: How it did.
        ratio: Its time over that of the best so far, a median over rounds; None where it was not timed.
        noise: How far from 1 the ratio had to be; None where there were no two rounds.
        rounds: How many rounds were run.
        reason: What went wrong, if something did.
    """

    state: str
    before: str
    verdict: Verdict
    ratio: float | None = None
    noise: float | None = None
    rounds: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Choice:
    """What was decided on one choice of the target.

    Attributes:
        name: The choice.
        decision: The alternative that is on: ``on``, or its first name where there are several; or ``off``.
        off: The passes, groups and rules that are switched off.
        ratio: The decisive time: of what was chosen over the default, or of its best rival over the default.
        why: One line.
        trials: What was timed.
        default: What is switched off where nothing is known.
    """

    name: str
    decision: str
    off: tuple[str, ...] = ()
    ratio: float | None = None
    why: str = ""
    trials: tuple[Trial, ...] = ()
    default: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether measuring chose something else than the default."""
        return any(trial.verdict == "faster" for trial in self.trials)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Choice:
        """Reads what ``dataclasses.asdict`` wrote."""
        trials = tuple(Trial(**trial) for trial in data["trials"])
        off, default = tuple(data["off"]), tuple(data["default"])
        return Choice(**{**data, "off": off, "default": default, "trials": trials})


@dataclass(frozen=True)
class Entrant:
    """A model that can be timed.

    Attributes:
        identity: Equal for models that compute from the same operators.
        off: What was switched off to make it.
        place: Where it lies, for whoever times it.
    """

    identity: str
    off: frozenset[str] = frozenset()
    place: Any = None


class Arena(Protocol):
    """Makes models and times them."""

    def build(self, off: frozenset[str]) -> Entrant:
        """Makes the model with some names switched off."""

    def skip(self) -> None:
        """Hears that a race is not needed."""

    def race(self, incumbent: Entrant, challenger: Entrant, title: str) -> Race:
        """Times two models against each other."""


@dataclass
class Descent:
    """Goes through the choices.

    Attributes:
        arena: Makes and times models.
        best: The fastest model so far.
        choices: What was decided.
    """

    arena: Arena
    best: Entrant
    choices: list[Choice] = field(default_factory=list)

    def settle(
        self,
        name: str,
        alternatives: Alternatives,
        without: Collection[str],
        *,
        tentative: bool = False,
    ) -> None:
        """Decides on one choice.

        Args:
            name: Its name.
            alternatives: The names that make each of its alternatives.
            without: Names that the user left out.
            tentative: Whether none is the default.
        """
        offered = [a for a in alternatives if not set(a) <= set(without)]
        for _ in range(len(alternatives) - len(offered)):
            self.arena.skip()
        if not offered:
            self.choices.append(Choice(name, "off", why="left out by the user"))
            return
        states = [states_name(offered, count) for count in range(len(offered) + 1)]
        start = len(offered) if tentative else 0
        fixed = self.best.off.difference(*offered)
        chosen, trials = start, list[Trial]()
        for count in range(len(states)):
            if count == start:
                continue
            off = fixed.union(*offered[:count])
            challenger = self.arena.build(off)
            if challenger.identity == self.best.identity:
                self.arena.skip()
                continue
            race = self.arena.race(self.best, challenger, f"{name} {states[count]}")
            trials.append(_trial(states[count], states[chosen], race))
            if race.verdict == "faster":
                self.best, chosen = challenger, count
        off_now = tuple(sorted(self.best.off - fixed))
        default = tuple(sorted(set[str]().union(*offered[:start])))
        settled = Choice(name, states[chosen], off_now, trials=tuple(trials), default=default)
        self.choices.append(_explained(settled))

    def revert(self, start: Entrant) -> None:
        """Goes back to the default in every choice: together, what was switched off does not pay."""
        self.best = start
        self.choices = [
            replace(
                c,
                decision=c.trials[0].before,
                off=c.default,
                why="slower together with other choices",
            )
            if c.changed
            else c
            for c in self.choices
        ]


def states_name(offered: Sequence[Collection[str]], count: int) -> str:
    """Names the state in which the first ``count`` alternatives are switched off."""
    if count == len(offered):
        return "off"
    return "on" if len(offered) == 1 else next(iter(offered[count]))


def _trial(state: str, before: str, race: Race) -> Trial:
    noise = race.noise if len(race.rounds) > 1 else None
    return Trial(state, before, race.verdict, race.ratio, noise, len(race.rounds), race.reason)


def _explained(choice: Choice) -> Choice:
    trials = choice.trials
    if not trials:
        return replace(choice, why="makes no difference to this model")
    won = [trial for trial in trials if trial.verdict == "faster"]
    timed = [trial for trial in trials if trial.ratio is not None]
    decisive = won[-1] if won else min(timed, key=lambda t: t.ratio or 0.0, default=trials[0])
    return replace(choice, ratio=decisive.ratio, why=_why(decisive))


def _why(trial: Trial) -> str:
    if trial.verdict == "undecided":
        return f"not settled: {trial.reason or 'too few rounds'}"
    if trial.ratio is None:
        who = trial.before if trial.verdict == "faster" else trial.state
        return f"{who} does not run: {trial.reason}"
    percent = abs(100 * (trial.ratio - 1))
    if trial.verdict == "alike":
        return f"{trial.state} differs from {trial.before} by {percent:.1f} %, within noise"
    return f"{trial.state} is {percent:.1f} % {trial.verdict} than {trial.before}"
