"""The profiler's file of onnxruntime, summed up: milliseconds by kind of kernel in each run.

A node that runs a subgraph (``If``, ``Loop``) has an event that spans those of the nodes within; what they
take is taken off it, so that nothing counts twice. On a device the host only launches kernels: there the
device's own events count, where onnxruntime was built to record them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from bench_lib.latency.kernels import KINDS, MATRIX, kind_of

Event = dict[str, Any]
CPU = "CPUExecutionProvider"


def kinds_by_run(events: Iterable[Event]) -> list[dict[str, float]]:
    """Milliseconds by kind for each call of ``run``, in order.

    Args:
        events: What the profiler's file holds; times are in microseconds.

    Raises:
        ValueError: Kernels ran on a device, and their times were not recorded.
    """
    events = list(events)
    starts = sorted(int(e["ts"]) for e in events if e["name"] == "model_run")
    found = [dict.fromkeys(KINDS, 0.0) for _ in starts]
    for moment, operator, duration in (*_on_host(events), *_on_device(events)):
        index = bisect_right(starts, moment) - 1
        if index >= 0:
            found[index][kind_of(operator)] += duration / 1000
    return found


def summarise(runs: Sequence[dict[str, float]]) -> dict[str, float]:
    """Medians over runs of each kind, and of what is ``outside`` the matrix kind."""
    kinds = {kind: median(run[kind] for run in runs) for kind in KINDS}
    return kinds | {"outside": median(sum(run.values()) - run[MATRIX] for run in runs)}


def _on_host(events: Iterable[Event]) -> Iterator[tuple[int, str, int]]:
    """Start, operator and own duration of each node that the CPU computed."""
    nodes = [e for e in events if e["cat"] == "Node" and e["args"].get("provider") == CPU]
    nodes.sort(key=lambda e: (e["ts"], -e["dur"]))
    own = [int(e["dur"]) for e in nodes]
    open_nodes: list[int] = []
    for index, node in enumerate(nodes):
        while open_nodes and node["ts"] >= _end(nodes[open_nodes[-1]]):
            open_nodes.pop()
        if open_nodes:
            own[open_nodes[-1]] -= node["dur"]
        open_nodes.append(index)
    for node, duration in zip(nodes, own, strict=True):
        yield node["ts"], node["args"]["op_name"], max(duration, 0)


def _end(event: Event) -> int:
    return int(event["ts"]) + int(event["dur"])


def _on_device(events: Sequence[Event]) -> Iterator[tuple[int, str, int]]:
    """Start, operator and duration of each kernel on a device."""
    kernels = [e for e in events if e["cat"] == "Kernel"]
    away = {e["args"].get("provider", CPU) for e in events if e["cat"] == "Node"} - {CPU}
    if away and not kernels:
        raise ValueError(f"this onnxruntime records no kernel times of {', '.join(sorted(away))}")
    for event in kernels:
        yield event["ts"], event["args"].get("op_name", ""), event["dur"]
