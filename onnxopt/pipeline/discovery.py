"""Where passes lie: the packages that offer them, known by name before anything is imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from importlib import metadata
from types import ModuleType

from ..errors import UsageError

BUILTIN = "onnxopt.passes"
_GROUP = "onnxopt.passes"


def builtin_parts() -> list[str]:
    """Returns the modules and packages that lie directly in onnxopt's own package of passes.

    Modules come first: they are few, and the named pipelines are among them.
    """
    root = importlib.import_module(BUILTIN)
    found = pkgutil.iter_modules(root.__path__, f"{BUILTIN}.")
    return [info.name for info in sorted(found, key=lambda info: info.ispkg)]


def third_parties() -> list[str]:
    """Returns the packages that other distributions offer, by their entry points."""
    return sorted({e.value for e in metadata.entry_points(group=_GROUP)} - {BUILTIN})


def modules_of(name: str) -> list[ModuleType]:
    """Imports a module and, if it is a package, all that lies in it."""
    return list(_walk(importlib.import_module(name)))


def offered_modules(name: str) -> list[ModuleType]:
    """Imports what another distribution offers.

    Raises:
        UsageError: It cannot be imported.
    """
    try:
        return modules_of(name)
    except Exception as error:
        raise UsageError(
            f"the passes that an installed package offers in {name!r} cannot be imported "
            f"({type(error).__name__}: {error}); repair or remove that package"
        ) from error


def _walk(root: ModuleType) -> Iterator[ModuleType]:
    yield root
    if not hasattr(root, "__path__"):
        return
    for info in pkgutil.walk_packages(root.__path__, f"{root.__name__}."):
        yield importlib.import_module(info.name)
