"""Who takes part in the benchmark, and the command each is run with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from bench_lib.measure import python

Role = Literal["ours", "simplifier", "peer", "floor", "original", "control"]
ONNXRUNTIME = "onnxruntime|onnxruntime-gpu"


@dataclass(frozen=True)
class Contender:
    """A tool under test.

    Attributes:
        name: Name in tables and on the command line.
        role: ``ours``; ``simplifier`` for the three tools our ratios are against; another ``peer``;
            the ``floor``, which only copies the bytes; the ``original``, which nothing is done to; or
            the ``control``, the original a second time.
        package: Distribution that must be installed, alternatives separated by ``|``; empty when
            none is needed.
        options: More arguments: of our command line, or of the peer's function in ``run_peer``.
    """

    name: str
    role: Role
    package: str
    options: tuple[str, ...] = ()

    def command(self, source: Path, target: Path) -> Sequence[str]:
        """The command that turns ``source`` into ``target``."""
        if self.role == "floor":
            return ["cp", str(source), str(target)]
        if self.role == "ours":
            return python("onnxopt", "optimize", source, "-o", target, *self.options)
        return python("bench_lib.run_peer", self.name, source, target, *self.options)

    def version(self) -> str | None:
        """Installed version, or None when the package is missing."""
        if not self.package:
            return ""
        found = [v for v in map(_installed, self.package.split("|")) if v is not None]
        return found[0] if found else None


def _installed(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


CONTENDERS = (
    Contender("onnxopt", "ours", "onnxopt", ("--no-validate",)),
    Contender("onnxopt, validated", "ours", "onnxopt"),
    Contender("onnxsim", "simplifier", "onnxsim"),
    Contender("onnxslim", "simplifier", "onnxslim"),
    Contender("onnxoptimizer", "simplifier", "onnxoptimizer"),
    Contender("onnxscript", "peer", "onnxscript"),
    Contender("onnxruntime basic", "peer", ONNXRUNTIME),
    Contender("onnxruntime extended", "peer", ONNXRUNTIME),
    Contender("cp", "floor", ""),
)
BY_NAME = {c.name: c for c in CONTENDERS}


def chosen(names: str | None, among: Sequence[Contender] = CONTENDERS) -> list[Contender]:
    """The contenders in a comma-separated list (a comma in a name is given as ``+``), or all.

    Raises:
        ValueError: A name is unknown.
    """
    if not names:
        return list(among)
    known = {c.name.replace(", ", "+").replace(" ", "-"): c for c in among}
    wanted = [n.strip() for n in names.split(",")]
    unknown = [n for n in wanted if n not in known]
    if unknown:
        raise ValueError(f"no tool {unknown[0]!r}; there are {', '.join(known)}")
    return [known[n] for n in wanted]
