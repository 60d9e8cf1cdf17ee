"""Reading a target's data file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

from ..errors import UsageError


@dataclass(frozen=True)
class Target:
    """What a runtime runs well.

    Attributes:
        name: The target's name.
        summary: One line.
        providers: The execution providers it stands for; empty where it stands for none.
        domains: Operator domains that may come out besides those of the model.
    """

    name: str
    summary: str
    providers: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()


def target_names() -> list[str]:
    """Lists the targets that ship with the package."""
    files = resources.files(__package__).iterdir()
    return sorted(f.name.removesuffix(".toml") for f in files if f.name.endswith(".toml"))


def load_target(name: str) -> Target:
    """Reads a target.

    Raises:
        UsageError: There is no target of this name.
    """
    names = target_names()
    if name not in names:
        raise UsageError(f"no target is called {name!r}; there are: {', '.join(names)}")
    data = tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text())
    return Target(
        name=name,
        summary=data["summary"],
        providers=tuple(data.get("providers", ())),
        domains=tuple(data.get("domains", ())),
    )
