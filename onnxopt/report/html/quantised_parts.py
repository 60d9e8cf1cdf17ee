"""Parts of the page of a quantisation: its layers and its tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..text import size
from .grid import Cell, decibels, number, percent, table
from .markup import Html, el, join
from .page import Section
from .plots import Series, histogram, lines

_MEASURED = (
    "The most harmful first, by the noise at the outputs that goes where a layer alone stays in float; below 0, "
    "the outputs are worse so. Those without a figure were not tried; they follow by their own noise. Paste the option behind the "
    "command to leave a layer in float."
)
_ESTIMATED = (
    "By the noise that rounding its weights, its operand and its result adds to a layer's result. How much of that arrives at "
    "the outputs was not measured: give samples and more --budget. Paste the option behind the command to leave a layer in "
    "float."
)
Rows = Sequence[Mapping[str, Any]]


def layers(rows: Rows) -> Section | None:
    """The layers, those that harm most first."""
    done = [row for row in rows if row["integer"]]
    if not done:
        return None
    measured = any(row["measured"] is not None for row in done)
    headings = [
        "layer, as an option that leaves it in float",
        "operator",
        "own noise|noise over signal power that rounding its weights, its operand and its result adds",
        "at the outputs|noise over signal power at the outputs that goes where it alone stays in float",
        "SNR alone|dB of its result, as if all before it were exact",
        "SNR with all before|dB of its result in the quantised model",
        "weights|SNR of its weights, dB",
        "work|share of the multiplications",
        "saves|bytes",
    ]
    skipped = () if measured else (3,)
    cells = [[c for i, c in enumerate(_layer(row)) if i not in skipped] for row in done]
    kept = [h for i, h in enumerate(headings) if i not in skipped]
    lead = _MEASURED if measured else _ESTIMATED
    grid = table(kept, cells, sortable=True, names=True, left=(0, 1), label="layers by damage")
    return Section("Layers by damage", grid, lead)


def _layer(row: Mapping[str, Any]) -> list[Cell | Html | str]:
    return [
        _option(row),
        row["op_type"],
        percent(row["noise"], 3),
        percent(row["measured"], 3),
        decibels(row["snr_db"]),
        decibels(row["snr_accumulated_db"]),
        decibels(row["weight_snr_db"]),
        percent(row["macs_share"]),
        Cell(size(max(row["bytes_saved"], 0)), row["bytes_saved"]),
    ]


def _option(row: Mapping[str, Any]) -> Html:
    """A layer's name, in what is to be pasted."""
    if row["option"] is None:
        return el("span", row["name"], class_="name")
    copy = el("button", "copy", type="button", class_="copy")
    return el("div", el("code", row["option"]), copy, class_="option")


def depth(rows: Rows) -> Section | None:
    """The SNR from the first layer to the last."""
    order = sorted((row for row in rows if row["integer"]), key=lambda row: row["depth"])
    if len(order) < 2:
        return None
    plot = lines(
        [row["name"] for row in order],
        [
            Series("first", "Alone", [row["snr_db"] for row in order]),
            Series("second", "With all before", [row["snr_accumulated_db"] for row in order]),
        ],
        "layer, in the order of the graph",
        "SNR in dB",
    )
    if plot is None:
        return None
    lead = (
        "SNR of each layer's result in dB. Alone: what rounding the result loses. With all before: how close it is in the "
        "quantised model; where this line falls, a layer loses more than its result shows."
    )
    return Section("Along the depth", plot, lead)


def histograms(rows: Rows) -> Section | None:
    """The tensors that lose most, with the range that is stored."""
    shown = [row for row in rows if row["histogram"]]
    if not shown:
        return None
    plots = [
        histogram(row["name"], row["histogram"], row["low"], row["high"], _caption(row))
        for row in shown
    ]
    lead = (
        "Activations whose rounding loses most, over all calibration samples; counts on a logarithmic scale. Between the "
        "dashed lines lies what can be stored. Where most of the range is nearly empty, a tighter one may be better: try "
        "--method mse or percentile:99.99."
    )
    return Section("Histograms", el("div", *plots, class_="plots"), lead)


def _caption(row: Mapping[str, Any]) -> str:
    parts = [
        f"SNR {decibels(row['snr_db']).shown} dB",
        f"clipped {percent(row['clipped'], 3).shown}",
    ]
    zeros = row["histogram"]["zeros"]
    if zeros > 0.0005:
        parts.append(f"{percent(zeros).shown} exact zeros, not drawn")
    return ", ".join(parts)


def tensors(rows: Rows) -> Section | None:
    """All that is stored in integers, but for biases."""
    shown = [row for row in rows if row["kind"] != "bias"]
    if not shown:
        return None
    headings = [
        "tensor",
        "is",
        "of",
        "type",
        "stored from",
        "to",
        "seen from",
        "to",
        "scale|the least, where channels have their own",
        "most|the greatest scale",
        "zero point",
        "clipped|share of values beyond what can be stored",
        "SNR alone|dB",
        "with all before|dB",
    ]
    grid = table(
        headings,
        [_tensor(row) for row in shown],
        sortable=True,
        names=True,
        left=(0, 1, 2, 3),
        label="tensors",
    )
    biases = len(rows) - len(shown)
    lead = "The noisiest first."
    if biases:
        lead += f" {biases} biases, stored in 32 bits, are not listed."
    body = el("details", el("summary", f"{len(shown)} tensors"), grid, open=len(shown) <= 40)
    return Section("Tensors", join(body), lead)


def _tensor(row: Mapping[str, Any]) -> list[Cell | Html | str]:
    channels = row["channels"]
    kind = row["type"] if row["bits"] in (4, 8, 16, 32) else f"{row['type']}, {row['bits']} bits"
    zero = number(row["zero_point"])
    if row["zero_point_most"] != row["zero_point"]:
        zero = Cell(f"{zero.shown} to {number(row['zero_point_most']).shown}", row["zero_point"])
    return [
        el("span", row["name"], class_="name"),
        row["kind"],
        row["op_type"] or "input",
        kind if channels is None else f"{kind}, {channels} channels",
        number(row["low"]),
        number(row["high"]),
        number(row["seen_low"]),
        number(row["seen_high"]),
        number(row["scale"]),
        number(row["scale_most"]) if channels is not None else Cell("–"),
        zero,
        percent(row["clipped"], 3),
        decibels(row["snr_db"]),
        decibels(row["snr_accumulated_db"]),
    ]
