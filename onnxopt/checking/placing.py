"""Whether the build runs on a provider that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .subject import present
from .verdict import CannotMeasure, Finding

if TYPE_CHECKING:
    from .subject import Subject


def required_provider(subject: Subject, limit: str) -> Finding:
    """The provider, where it is present and the build loads and runs on it.

    Raises:
        UsageError: There is no provider of such a name.
    """
    from ..runtime.stopwatch import CannotTime, Stopwatch

    name = present(limit)
    settings = subject.settings
    settings.stage(f"running on {limit}")
    with Stopwatch(name, subject.libraries, settings.timeout) as watch:
        try:
            watch.pick_sample(subject.build.path, subject.feeds)
        except CannotTime as error:
            raise CannotMeasure(f"the build does not run on {name}: {error}") from None
    return Finding(name, True, "loads and runs")
