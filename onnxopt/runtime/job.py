"""The order a child process receives, and the folder it travels in.

The folder holds ``job.json`` (this), ``feeds/`` (the user's samples, if any), ``overrides/`` (perturbed values
of overridable initializers, if any), ``progress`` (one JSON line a step, so that a crash can be placed),
``stderr``, and at the end ``result.json``. A child that can end early does so when a file ``stop`` appears.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from onnxopt.runtime.backends import ONNXRUNTIME
from onnxopt.runtime.facts import InputSpec
from onnxopt.runtime.inputs import DEFAULT_SAMPLES
from onnxopt.runtime.order import Order

RESULT = "result.json"
PROGRESS = "progress"
STDERR = "stderr"
STOP = "stop"
FEEDS = "feeds"
OVERRIDES = "overrides"


@dataclass
class Job(Order):
    """What to run and how to judge it, on one provider.

    Attributes:
        reference: path of the original model.
        candidate: path of the model under test.
        provider: full provider name.
        backend: `backends.ONNXRUNTIME` or `backends.REFERENCE`.
        feed_count: how many samples lie in ``feeds/``; 0 means generate from ``specs``.
        specs: the inputs, as JSON-ready dicts.
        samples: how many generated samples are wanted.
        seed: seed of generated samples.
        overrides: ``overrides/`` holds one feed of perturbed initializers.
        randomness: 'none', 'random' (random operators) or 'unknown' (custom operators).
        rtol: the user's relative tolerance.
        atol: the user's absolute tolerance.
        exact: only bit-exact rewrites were applied.
        precision: coarsest float type inside either model.
        working_type: the shorter float type the candidate was converted to, if it was; its inputs and outputs
            may then be of that type.
        as_written: the candidate runs with graph optimisations off as well.
        lossy: the candidate need only resemble the reference.
        custom_op_libraries: paths of shared libraries.
        budget_s: seconds after which no further *generated* sample is begun.
        timeout_s: seconds after which the parent gives up on a phase.
        threads: intra-op threads; None for all cores.
        cache: folder that remembers what the reference returned; None for none.
    """

    reference: str
    candidate: str
    provider: str
    backend: str = ONNXRUNTIME
    feed_count: int = 0
    specs: list[dict[str, Any]] = field(default_factory=list)
    samples: int = DEFAULT_SAMPLES
    seed: int = 0
    overrides: bool = False
    randomness: str = "none"
    rtol: float | None = None
    atol: float | None = None
    exact: bool = False
    precision: str | None = None
    working_type: str | None = None
    as_written: bool = False
    lossy: bool = False
    custom_op_libraries: list[str] = field(default_factory=list)
    budget_s: float = 10.0
    timeout_s: float = 600.0
    threads: int | None = None
    cache: str | None = None

    @property
    def input_specs(self) -> list[InputSpec]:
        """The specs, parsed."""
        return [InputSpec.from_json(spec) for spec in self.specs]
