"""What the terminal tells of ways to choose ranges."""

from __future__ import annotations

import io

from rich.console import Console

from onnxopt.quantizing.account import Account, Trial
from onnxopt.report.quantisation import render


def test_figures_of_a_glance_are_marked() -> None:
    trial = Trial("static", methods={"minmax": 29.84, "mse": 31.0}, glanced=["minmax"])
    out = io.StringIO()
    render(Console(file=out, width=120), Account("static", "snr=20", trials=[trial]))
    assert "Ranges (static)  SNR in dB: mse 31.0, minmax ~29.8" in out.getvalue()
