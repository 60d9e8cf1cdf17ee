"""Choosing sizes for symbolic dims, and settling on ones the model accepts.

Which sizes a model takes is often nowhere written down: a Reshape needs divisibility, a convolution a
minimum length. So the plan starts from sizes typical for the dim's name, and when the reference
refuses them it walks a ladder of others; once something runs, it varies from there. The same
symbol has the same size in every input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

from onnxopt.runtime.facts import Dim, InputSpec, symbols

_TYPICAL: dict[str, tuple[int, ...]] = {
    "batch": (2, 1, 3, 1, 4),
    "past": (5, 0, 3, 8, 1),
    "sequence": (7, 16, 1, 33, 12),
    "total": (12, 20, 9, 33, 7),
    "spatial": (64, 96, 33, 128, 47),
    "rank": (2, 3, 1, 4, 0),
}
_TYPICAL_HEAVY = {**_TYPICAL, "batch": (1, 2, 1, 1, 1)}
_HEAVY = 1 << 20
_LADDER = (8, 16, 32, 64, 1, 2, 3, 4, 6, 12, 100, 128, 200, 256, 320, 512, 224, 1024)
_ROUNDS = 4
_BATCH_NAMES = {"n", "b", "bs", "batch", "batchsize", "none"}
_SPATIAL_NAMES = {"h", "w", "height", "width", "rows", "cols"}

_MAX_RELATIONS = 24

Sizes = dict[str, int]
Relations = dict[str, tuple[str, ...]]
"""Symbol -> the symbols whose sizes add up to its own."""


@dataclass(frozen=True)
class Attempt:
    """One thing to try: sizes for the symbols, and which variant of the values to draw."""

    sizes: Sizes
    variant: int


def symbol_kinds(specs: Sequence[InputSpec]) -> dict[str, str]:
    """Every symbol of the inputs, in order of appearance, with what kind of size it likely is."""
    kinds: dict[str, str] = {}
    for spec in specs:
        if spec.shape is None:
            kinds[f"?rank.{spec.name}"] = "rank"
            continue
        first = True
        for axis, dim in enumerate(spec.shape):
            for symbol in sorted(symbols(dim)):
                kinds.setdefault(symbol, _kind(symbol, axis, first, spec.shape, spec.dtype))
            first = first and isinstance(dim, int)
    return kinds


def _kind(symbol: str, axis: int, first: bool, shape: Sequence[Dim], dtype: str) -> str:
    name = "".join(c for c in symbol.lower() if c.isalpha() or c == "_")
    plain = name.replace("_", "")
    if not symbol.startswith("?"):
        if "total" in name:
            return "total"
        if "past" in name or "cache" in name:
            return "past"
        if plain in _BATCH_NAMES or "batch" in name:
            return "batch"
        if plain in _SPATIAL_NAMES or any(word in name for word in ("height", "width")):
            return "spatial"
        if "seq" in name or "len" in name or "time" in name:
            return "sequence"
    if dtype.startswith(("float", "uint8")) and len(shape) >= 4 and axis >= 2:
        return "spatial"
    return "batch" if first else "sequence"


def is_heavy(specs: Sequence[InputSpec]) -> bool:
    """True when one batch element alone is large, so that big batches only cost time."""
    static = [[dim for dim in spec.shape or [] if isinstance(dim, int)] for spec in specs]
    return sum(math.prod(dims) for dims in static) >= _HEAVY


def lengths(kinds: dict[str, str]) -> list[str]:
    """The symbols that are neither a batch nor a rank."""
    return [symbol for symbol, kind in kinds.items() if kind not in ("batch", "rank")]


def total_relations(kinds: dict[str, str]) -> Relations:
    """A 'total' length is, by the convention of exporters, past plus new positions."""
    parts = [
        next((symbol for symbol, kind in kinds.items() if kind == wanted), None)
        for wanted in ("past", "sequence")
    ]
    known = tuple(symbol for symbol in parts if symbol is not None)
    return {symbol: known for symbol, kind in kinds.items() if kind == "total" and known}


def possible_relations(kinds: dict[str, str]) -> Iterator[Relations]:
    """Ways one length may follow from others: a sum of two (caches), or equality.

    Exporters often give a dependent dim a name of its own.
    """
    symbols_ = lengths(kinds)
    for symbol in symbols_:
        for pair in combinations([other for other in symbols_ if other != symbol], 2):
            yield {symbol: pair}
    for first, second in combinations(symbols_, 2):
        yield {second: (first,)}


def related(sizes: Sizes, relations: Relations) -> Sizes:
    """Sizes with the dependent ones computed; none of those is 0."""
    dependent = {
        symbol: max(1, sum(sizes[part] for part in parts)) for symbol, parts in relations.items()
    }
    return {**sizes, **dependent}


class SizePlan:
    """Proposes attempts one after the other and learns from what is accepted.

    Args:
        specs: the inputs.
        wanted: how many accepted attempts are wanted.
    """

    def __init__(self, specs: Sequence[InputSpec], wanted: int) -> None:
        self._kinds = symbol_kinds(specs)
        self._table = _TYPICAL_HEAVY if is_heavy(specs) else _TYPICAL
        self._wanted = wanted
        self._relations = total_relations(self._kinds)
        self._settled: Attempt | None = None
        self._accepted = 0

    def accept(self, attempt: Attempt) -> None:
        """The model ran with this attempt."""
        self._settled = self._settled or attempt
        self._accepted += 1

    def __iter__(self) -> Iterator[Attempt]:
        for attempt in self._search():
            yield attempt
            if self._settled is not None:
                break
        if self._settled is None:
            return
        for number in range(1, self._wanted):
            before = self._accepted
            for attempt in self._follow(number, self._settled):
                yield attempt
                if self._accepted > before:
                    break

    def _search(self) -> Iterator[Attempt]:
        """Sizes times variants, until the model accepts one."""
        base = self._relations
        tried: list[Attempt] = []
        for variant in range(_ROUNDS):
            for relations, sizes in self._options(base):
                attempt = Attempt(sizes, variant)
                if attempt not in tried:
                    tried.append(attempt)
                    self._relations = relations  # kept, should this be accepted
                    yield attempt

    def _options(self, base: Relations) -> Iterator[tuple[Relations, Sizes]]:
        """Typical sizes; then one symbol tied to others; then one size throughout."""
        for index in range(3):
            yield base, self._typical(index, base)
        for extra in islice(possible_relations(self._kinds), _MAX_RELATIONS):
            yield {**base, **extra}, self._typical(0, {**base, **extra})
        if self._kinds:
            for size in _LADDER:
                yield base, self._flat(size, base)

    def _follow(self, number: int, settled: Attempt) -> Iterator[Attempt]:
        """Options for a further sample, most different first, surest last."""
        variant = settled.variant + number
        typical = self._typical(number, self._relations)
        options = [typical, *self._nearby(settled.sizes, number), settled.sizes]
        unique: list[Sizes] = []
        for sizes in options:
            if sizes not in unique:
                unique.append(sizes)
                yield Attempt(sizes, variant)
        yield Attempt(settled.sizes, settled.variant)

    def _typical(self, index: int, relations: Relations) -> Sizes:
        """Sizes by kind; after the first sample, symbols of one kind differ from each other."""
        sizes: Sizes = {}
        for position, (symbol, kind) in enumerate(self._kinds.items()):
            values = self._table[kind]
            shift = 0 if index == 0 or symbol.startswith("?") else position
            sizes[symbol] = values[(index + shift) % len(values)]
        return related(sizes, relations)

    def _flat(self, size: int, relations: Relations) -> Sizes:
        fixed = {"batch": 1, "rank": 2}
        sizes = {symbol: fixed.get(kind, size) for symbol, kind in self._kinds.items()}
        return related(sizes, relations)

    def _nearby(self, base: Sizes, number: int) -> Iterator[Sizes]:
        """The settled sizes with one symbol or the batch changed, in turn first and second."""
        changes = [list(self._other_sizes(base, number)), list(self._other_batch(base, number))]
        for options in changes if number % 2 else reversed(changes):
            yield from options

    def _other_batch(self, base: Sizes, number: int) -> Iterator[Sizes]:
        batch = [symbol for symbol, kind in self._kinds.items() if kind == "batch"]
        if batch:
            size = self._table["batch"][number % len(self._table["batch"])]
            yield related({**base, **dict.fromkeys(batch, size)}, self._relations)

    def _other_sizes(self, base: Sizes, number: int) -> Iterator[Sizes]:
        others = [symbol for symbol in lengths(self._kinds) if symbol not in self._relations]
        if others:
            symbol = others[number // 2 % len(others)]
            for size in (base[symbol] * 2, base[symbol] + 1, base[symbol] + 16):
                yield related({**base, symbol: size}, self._relations)
