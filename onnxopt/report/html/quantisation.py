"""The page of a quantisation: how good and how fast, what is lost where, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from ..text import change, one_line, scaled, size
from .grid import Cell, decibels, number, percent, table
from .markup import Html, el, join
from .page import Section, document, notes, pairs, tiles
from .quantised_parts import depth, histograms, layers, tensors

Data = Mapping[str, Any]


def page(data: Data) -> str:
    """Writes the page.

    Args:
        data: A result as plain data, with ``model``, ``command`` and ``environment``.
    """
    account = data.get("quantisation") or {}
    rows, kept = account.get("layers") or [], account.get("tensors") or []
    return document(
        f"Quantisation of {data['model']}",
        _head(data, account),
        [
            _trials(account),
            _back(account, rows),
            depth(rows),
            layers(rows),
            histograms(kept),
            tensors(kept),
            _fusion(account.get("fusion")),
            _operators(data["before"], data["after"]),
            _made(data),
        ],
    )


def _chosen(account: Data) -> Data:
    found = (t for t in account.get("trials", ()) if t["mode"] == account["mode"])
    return next(found, {})


def _head(data: Data, account: Data) -> Html:
    trial = _chosen(account)
    validation = data.get("validation") or {}
    mode = account.get("mode")
    lead = f"{data['model']}: " + (f"{mode} quantisation" if mode else "nothing was written")
    if data["output"]:
        lead += f", written to {data['output']}"
    troubles = [_undone(site) for site in data["left_out"]]
    if validation.get("status") not in (None, "passed"):
        told = f"{validation['status']} {one_line(validation.get('reason') or '')}"
        troubles.append(f"validation: {told.strip()}")
    name = PurePath(str(data["model"])).name or str(data["model"])
    return join(
        el("h1", "Quantisation of ", el("span", name, class_="name")),
        el("p", lead, class_="lead"),
        tiles(
            [*_accuracy(account, trial), *_speed(account, trial), *_sizes(data), *_share(account)]
        ),
        notes(troubles, "bad"),
        notes([one_line(note) for note in account.get("notes", ())]),
    )


def _undone(site: str) -> str:
    told = f"left out, because it changed the results: {site}"
    if site.startswith("quantize"):
        told += ". What was written is not quantised; the figures here are of the model that was"
    return told


def _accuracy(account: Data, trial: Data) -> list[tuple[str, str, str]]:
    overall = (trial.get("quality") or {}).get("overall")
    if overall is None:
        return [("Accuracy", "not measured", "no samples to judge on")] if trial else []
    verdict = "holds" if trial["holds"] else "does not hold"
    found = [
        (
            "SNR at the outputs",
            f"{decibels(overall['snr_db']).shown} dB",
            f"{account['asked']} {verdict}",
        ),
        ("Cosine to float", f"{overall['cosine']:.5f}", f"least {overall['least_cosine']:.5f}"),
    ]
    if overall["top1"] is not None:
        samples = trial["quality"]["samples"]
        found.append(("Same top-1", percent(overall["top1"]).shown, f"{samples} samples"))
    return found


def _speed(account: Data, trial: Data) -> list[tuple[str, str, str]]:
    ratio, before, after = trial.get("ratio"), account.get("float_ms"), account.get("quantised_ms")
    if not ratio or before is None or after is None:
        return []
    return [
        ("Speed", f"{1 / ratio:.2f} ×", f"{before:.3g} → {after:.3g} ms, optimised float model")
    ]


def _sizes(data: Data) -> list[tuple[str, str, str]]:
    before, after = data["before"]["bytes"], data["after"]["bytes"]
    if not before or not after or not data["output"]:
        return []
    return [("Size", size(after), f"was {size(before)}, {change(before, after)}".replace("-", "−"))]


def _share(account: Data) -> list[tuple[str, str, str]]:
    rows = account.get("layers") or []
    total = sum(row["macs"] for row in rows)
    done = [row for row in rows if row["integer"]]
    if not rows:
        return []
    work = sum(row["macs"] for row in done)
    why = f"{percent(work / total, 0).shown} of the multiplications" if total else ""
    return [("Layers in integers", f"{len(done)} of {len(rows)}", why)]


def _trials(account: Data) -> Section | None:
    trials = account.get("trials", ())
    if not trials:
        return None
    headings = ["mode", "layers", "back in float", "SNR dB", "cosine", "top-1", "time"]
    headings[-1] += "|of the optimised float model's"
    rows = [[*_trial(trial), _verdict(trial)] for trial in trials]
    mark = next((i for i, t in enumerate(trials) if t["mode"] == account["mode"]), None)
    grid = table([*headings, account["asked"]], rows, left=(0, 7), mark=mark, label="ways tried")
    lead = "Each way was compared with the optimised float model, on the samples; the marked one was taken."
    return Section("Ways tried", grid, lead)


def _trial(trial: Data) -> list[Cell | str]:
    overall = (trial.get("quality") or {}).get("overall") or {}
    return [
        trial["mode"],
        number(trial["layers"]),
        number(len(trial["back"])),
        decibels(overall.get("snr_db")),
        number(overall.get("cosine"), "{:.5f}"),
        percent(overall.get("top1")),
        percent(trial.get("ratio")),
    ]


def _verdict(trial: Data) -> str:
    if trial["why"]:
        return one_line(trial["why"])
    if trial.get("quality") is None:
        return "nothing to judge on"
    return "holds" if trial["holds"] else "does not hold"


def _back(account: Data, rows: Sequence[Data]) -> Section | None:
    back = _chosen(account).get("back", ())
    if not back:
        return None
    known = {row["name"]: row for row in rows}
    cells = []
    for name in back:
        row = known.get(name, {})
        cells.append(
            [
                el("span", name, class_="name"),
                row.get("op_type", ""),
                percent(row.get("measured"), 3),
                percent(row.get("macs_share")),
            ]
        )
    headings = ["layer", "operator", "noise it made|noise over signal power at the outputs", "work"]
    grid = table(headings, cells, left=(0, 1), sortable=True, label="layers back in float")
    lead = "With these in integers, the result was too far from the float model."
    return Section("Back in float", grid, lead)


def _fusion(report: Data | None) -> Section | None:
    if report is None:
        return None
    if report["failure"]:
        return Section(
            "On the runtime", el("p", f"It does not load: {one_line(report['failure'])}")
        )
    findings = report["findings"]
    done = sum(found["status"] == "integer" for found in findings)
    rows = [
        [
            el("span", found["name"], class_="name"),
            found["op_type"],
            found["status"],
            one_line(found["reason"]) or "no reason was found",
        ]
        for found in findings
        if found["status"] != "integer"
    ]
    grid = table(["node", "operator", "now", "why"], rows, left=(0, 1, 2, 3), sortable=True)
    lead = (
        f"{done} of {len(findings)} nodes that should compute in integers do: the graph that the runtime makes of the "
        "model was searched for them."
    )
    left = [
        ("still in float", _counted(report["floats"])),
        ("conversions", _counted(report["conversions"])),
    ]
    return Section("On the runtime", join(pairs(left), grid if rows else None), lead)


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "none"


def _operators(before: Data, after: Data) -> Section:
    names = sorted(
        {*before["ops"], *after["ops"]}, key=lambda n: -max(_of(before, n), _of(after, n))
    )
    rows: list[list[Cell | str]] = [
        [name, number(_of(before, name)), number(_of(after, name)), _change(before, after, name)]
        for name in names
    ]
    total = [
        number(before["nodes"]),
        number(after["nodes"]),
        number(after["nodes"] - before["nodes"]),
    ]
    grid = table(
        ["operator", "before", "after", "change"], [["all", *total], *rows], sortable=True, mark=0
    )
    body = el("details", el("summary", f"{len(names)} operators"), grid)
    return Section(
        "Operators",
        body,
        f"{scaled(before['nodes'])} nodes before, {scaled(after['nodes'])} after.",
    )


def _of(census: Data, name: str) -> int:
    count: int = census["ops"].get(name, 0)
    return count


def _change(before: Data, after: Data, name: str) -> Cell:
    by = _of(after, name) - _of(before, name)
    return number(by, "{:+}") if by else Cell("=", 0)


def _made(data: Data) -> Section:
    seconds = sum((data.get("seconds") or {}).values())
    items = [
        ("command", el("code", data["command"])),
        ("pipeline", el("code", data["pipeline"])),
        *data["environment"].items(),
        ("last stage", f"{seconds:.1f} s to optimise, write and validate"),
    ]
    return Section("How it was made", pairs(items))
