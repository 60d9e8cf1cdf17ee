"""The page of a quantisation: well-formed, self-contained, and nothing from a model taken for markup."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from onnxopt.report.html.grid import decibels, number, percent, table
from onnxopt.report.html.markup import Html, el, join
from onnxopt.report.html.plots import Series, lines, ticks
from onnxopt.report.html.quantisation import page

HOSTILE = '<script>alert("1")</script>&\x1b[31m\n\'"><img src=http://evil.example/x onerror=x>'
VOID = {"meta"}


class Checker(HTMLParser):
    """Reads a page, and fails where an element is not closed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def read(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    checker.close()
    assert checker.open == []
    return checker


def layer(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "op_type": "Conv",
        "integer": True,
        "depth": 0,
        "macs": 10,
        "macs_share": 0.5,
        "result": name,
        "operand_snr_db": 40.0,
        "weight_snr_db": 41.0,
        "snr_db": 42.0,
        "snr_accumulated_db": 30.5,
        "noise": 2.5e-4,
        "measured": None,
        "bytes_saved": 1234,
        "option": f"--exclude {name}",
        **changes,
    }


def tensor(name: str, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "activation",
        "node": name,
        "op_type": "Conv",
        "type": "u8",
        "bits": 8,
        "channels": None,
        "low": -1.0,
        "high": 2.0,
        "seen_low": -1.5,
        "seen_high": 2.0,
        "scale": 0.01,
        "scale_most": 0.01,
        "zero_point": 85,
        "zero_point_most": 85,
        "clipped": 0.002,
        "snr_db": 39.0,
        "snr_accumulated_db": None,
        "histogram": {"start": -1.5, "width": 0.5, "counts": [1, 0, 5, 9, 2, 4, 3], "zeros": 0.25},
        **changes,
    }


def quantisation(name: str) -> dict[str, Any]:
    overall = {"snr_db": 31.0, "cosine": 0.9993, "least_cosine": 0.99, "top1": 0.99, "max_abs": 1.0}
    trial = {
        "mode": "static",
        "quality": {"overall": overall, "samples": 8},
        "holds": True,
        "ratio": 0.5,
        "noise": None,
        "back": [name],
        "layers": 3,
        "why": "",
    }
    finding = {"name": name, "op_type": "Conv", "status": "float", "reason": name}
    return {
        "mode": "static",
        "asked": "snr=20",
        "trials": [trial],
        "float_ms": 2.0,
        "quantised_ms": 1.0,
        "fusion": {"failure": "", "findings": [finding], "floats": {name: 1}, "conversions": {}},
        "notes": [name],
        "layers": [
            layer(name),
            layer("second", depth=1),
            layer("third", integer=False, noise=None),
        ],
        "tensors": [
            tensor(name),
            tensor("b", kind="bias", histogram=None),
            tensor("w", histogram=None, channels=4),
        ],
    }


def result(name: str = "conv", **changes: Any) -> dict[str, Any]:
    return {
        "model": name,
        "command": name,
        "environment": {"python": "3"},
        "output": name,
        "pipeline": name,
        "before": {"nodes": 2, "ops": {name: 2}, "bytes": 4000},
        "after": {"nodes": 3, "ops": {"Conv": 3}, "bytes": 1000},
        "left_out": [name],
        "validation": {"status": "failed", "reason": name},
        "seconds": {"optimise": 1.0},
        "quantisation": quantisation(name),
        **changes,
    }


def test_names_are_text_wherever_they_stand() -> None:
    text = page(result(HOSTILE))
    checker = read(text)
    assert [tag for tag, _ in checker.tags].count("script") == 1
    assert not [tag for tag, _ in checker.tags if tag == "img"]
    assert not [key for _, attrs in checker.tags for key in attrs if key.startswith("on")]
    assert "\x1b" not in text
    shown = HOSTILE.replace("\x1b", "\\x1b").replace("\n", "\\x0a")
    for place in ("title", "span", "code", "td", "h3", "li"):
        assert any(shown in words for words in checker.texts[place]), place


def test_nothing_is_loaded_from_anywhere() -> None:
    text = page(result())
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    tags = read(text).tags
    for _, attrs in tags:
        assert not {"src", "href", "srcset", "data", "action"} & set(attrs)
    policies = [a["content"] or "" for _, a in tags if a.get("http-equiv")]
    assert len(policies) == 1
    assert policies[0].startswith("default-src 'none'; ")


def test_a_result_without_a_quantisation_still_makes_a_page() -> None:
    checker = read(page(result(quantisation=None, validation=None, output=None, left_out=[])))
    assert "conv: nothing was written" in checker.texts["p"]


def test_a_quantisation_without_anything_known_still_makes_a_page() -> None:
    account = quantisation("conv")
    account["trials"][0] |= {"quality": None, "ratio": None, "back": []}
    account |= {"fusion": None, "layers": [], "tensors": [], "float_ms": None}
    read(page(result(quantisation=account)))


def test_what_was_undone_is_said() -> None:
    text = page(result(left_out=["quantize@main_graph"]))
    assert "What was written is not quantised" in text


def test_the_figures_are_there() -> None:
    checker = read(page(result()))
    assert checker.texts["strong"] == [
        "31.0 dB",
        "0.99930",
        "99.0 %",
        "2.00 ×",
        "1.00 kB",
        "2 of 3",
    ]
    assert "--exclude conv" in checker.texts["code"]
    cells = checker.texts["td"]
    assert {"0.025 %", "42.0", "30.5", "41.0", "50.0 %", "1.23 kB", "0.200 %"} <= set(cells)
    assert "u8, 4 channels" in cells
    assert (
        "SNR 39.0 dB, clipped 0.200 %, 25.0 % exact zeros, not drawn" in checker.texts["figcaption"]
    )
    assert "The noisiest first. 1 biases, stored in 32 bits, are not listed." in checker.texts["p"]


def test_the_column_of_what_was_measured_is_there_where_it_was() -> None:
    account = quantisation("conv")
    assert "at the outputs" not in read(page(result())).texts["th"]
    account["layers"][0]["measured"] = 0.01
    checker = read(page(result(quantisation=account)))
    assert "at the outputs" in checker.texts["th"]
    assert "1.000 %" in checker.texts["td"]


def test_histograms_draw_each_bin_with_values() -> None:
    checker = read(page(result()))
    bars = [attrs for tag, attrs in checker.tags if tag == "rect" and attrs["class"] == "bar"]
    assert len(bars) == 6
    heights = [float(bar["height"] or 0) for bar in bars]
    assert max(heights) == heights[2]
    assert sum(tag == "line" and attrs["class"] == "limit" for tag, attrs in checker.tags) == 2


def test_elements_escape_all_but_markup() -> None:
    assert el("p", "<", Html("<b></b>"), None, title='"', hidden=True, id_=None, lang=False) == (
        '<p title="&quot;" hidden>&lt;<b></b></p>'
    )
    assert join("a", el("i", "b")) == "a<i>b</i>"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
        (math.nan, "–"),
        (-3.25, "−3.2"),
        (12.0, "12.0"),
    ],
)
def test_decibels(value: float | None, shown: str) -> None:
    assert decibels(value).shown == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0 %"), (1e-6, "<0.05 %"), (0.125, "12.5 %"), (None, "–")]
)
def test_percent(value: float | None, shown: str) -> None:
    assert percent(value).shown == shown


def test_cells_sort_by_their_numbers() -> None:
    checker = read(table(["a"], [[number(12345.678)], [number(None)]], sortable=True))
    cells = [attrs for tag, attrs in checker.tags if tag == "td"]
    assert [cell.get("data-key") for cell in cells] == ["12345.678", None]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 10, [0, 2, 4, 6, 8, 10]), (-1, 1, [-1, -0.5, 0, 0.5, 1]), (3, 3, [3])],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_lines_leave_out_what_is_not_known() -> None:
    assert lines(["a"], [Series("first", "Alone", [None, math.inf])], "x", "y") is None
    drawn = lines(["a", "b", "c"], [Series("first", "Alone", [1.0, None, 3.0])], "x", "y")
    assert drawn is not None
    checker = read(drawn)
    assert [tag for tag, _ in checker.tags].count("circle") == 2
    assert "3: c, alone 3.0 dB" in checker.texts["title"]
