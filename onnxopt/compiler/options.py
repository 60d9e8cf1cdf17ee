"""Everything a user can ask of an optimisation, in one value."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ..errors import UsageError
from ..pipeline.base import Grams, Observe

Feed = dict[str, Any]
ExternalData = Literal["auto", "always", "never"]
Dim = int | str
_DURATIONS = ("timeout", "measure_budget")


@dataclass(frozen=True)
class Options:
    """What to do, how to check it, how to write it.

    Attributes:
        level: 0 (read and write only) to 3 (what the target measures as faster).
        target: What the result must run on; ``generic`` keeps to standard operators.
        passes: A pipeline that replaces the level's.
        disable: Passes and rules to leave out.
        input_shapes: New shapes for inputs; a dim is a number or a name.
        dims: Sizes for symbolic dims, by name.
        opset: The opset version to convert to first.
        freeze_inputs: Whether initializers that callers could override become constants.
        feeds: Samples to validate with: arrays by input name.
        inputs: Files or folders of samples to validate with.
        providers: Execution providers to validate on; CPU, and CUDA where present, by default.
        rtol: Relative tolerance; derived from the types by default.
        atol: Absolute tolerance; derived from the types by default.
        validate: Whether to run the result against the original.
        require_validation: Whether a model that cannot be run here is an error.
        custom_op_libraries: Shared libraries of custom operators.
        timeout: Seconds each part of a validation may take.
        external_data: Where weights go: beside the model or in it.
        bisect_limit: How many rewrites to make at most.
        print_after: Passes after which to print the model.
        verify_each: Whether to check the structure after each pass.
        timings: A file of what was measured at level 3: used if it exists, else written.
        measure_budget: Seconds that measuring may take, at level 3.
        emit: Gets what ``print_after`` prints.
        observe: Runs models on calibration data, for passes that quantise.
        grams: Gives Gram matrices of values over calibration data, for rounding that needs them.
        progress: Gets the name of each stage as it begins.
        result: What the result is called in messages.
    """

    level: int = 2
    target: str = "generic"
    passes: str | None = None
    disable: Sequence[str] = ()
    input_shapes: Mapping[str, Sequence[Dim]] = field(default_factory=dict)
    dims: Mapping[str, int] = field(default_factory=dict)
    opset: int | None = None
    freeze_inputs: bool = False
    feeds: Sequence[Mapping[str, np.ndarray[Any, Any]]] | None = None
    inputs: Sequence[str | os.PathLike[str]] = ()
    providers: Sequence[str] | None = None
    rtol: float | None = None
    atol: float | None = None
    validate: bool = True
    require_validation: bool = False
    custom_op_libraries: Sequence[str] = ()
    timeout: float = 600.0
    external_data: ExternalData = "auto"
    bisect_limit: int | None = None
    print_after: Sequence[str] = ()
    verify_each: bool = False
    timings: str | os.PathLike[str] | None = None
    measure_budget: float = 60.0
    emit: Callable[[str], None] | None = None
    observe: Observe | None = None
    grams: Grams | None = None
    progress: Callable[[str], None] | None = None
    result: str = "optimised"

    def __post_init__(self) -> None:
        if self.level not in (0, 1, 2, 3):
            raise UsageError(f"level {self.level} does not exist; levels are 0, 1, 2 and 3")
        check_lists(
            disable=self.disable,
            inputs=self.inputs,
            providers=self.providers,
            custom_op_libraries=self.custom_op_libraries,
            print_after=self.print_after,
        )
        check_amounts(
            rtol=self.rtol,
            atol=self.atol,
            timeout=self.timeout,
            measure_budget=self.measure_budget,
        )
        if self.timings is not None and (self.level != 3 or self.passes is not None):
            raise UsageError("timings are for level 3 with its own pipeline: ask for -O3")
        if self.require_validation and not self.validate:
            raise UsageError("validation cannot be both required and left out")
        for name, size in self.dims.items():
            if size < 0:
                raise UsageError(f"dim {name}={size} is negative")
        if self.bisect_limit is not None and self.bisect_limit < 0:
            raise UsageError(f"bisect limit {self.bisect_limit} is negative")

    def stage(self, name: str) -> None:
        """Tells whoever shows progress that a stage begins."""
        if self.progress is not None:
            self.progress(name)


def check_lists(**given: object) -> None:
    """Refuses a lone name where several are expected: its letters would be taken for names.

    Raises:
        UsageError: An argument is a string or path.
    """
    for name, value in given.items():
        if isinstance(value, (str, os.PathLike)):
            raise UsageError(f"{name} takes a list; write [{str(value)!r}]")


def check_amounts(**given: float | None) -> None:
    """Refuses tolerances and time limits that make no sense.

    Raises:
        UsageError: An argument is negative, not finite, or a time limit of zero.
    """
    for name, value in given.items():
        if value is None:
            continue
        duration = name in _DURATIONS
        if not math.isfinite(value) or value < 0 or (duration and value == 0):
            least = "above 0" if duration else "0 or above"
            raise UsageError(f"{name} is {value}; it must be {least} and finite")
