"""The rewriting engine: patterns as data, rules as pure functions, one driver that commits."""

from .builder import Builder
from .driver import Driver
from .editor import Applied, Editor, Rewrite, where
from .gate import Gate
from .match import Declined, Match
from .pattern import Const, OneOf, Op, Pattern, Var, ms, one_of, op
from .rule import Rule, Skip, rule
from .stats import Stats

__all__ = [
    "Applied",
    "Builder",
    "Const",
    "Declined",
    "Driver",
    "Editor",
    "Gate",
    "Match",
    "OneOf",
    "Op",
    "Pattern",
    "Rewrite",
    "Rule",
    "Skip",
    "Stats",
    "Var",
    "ms",
    "one_of",
    "op",
    "rule",
    "where",
]
