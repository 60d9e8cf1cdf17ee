"""Benchmarks of onnxopt against its peers. ``python tools/bench.py --help`` lists them."""

from __future__ import annotations

import click
from bench_lib.command_compile import compile_command
from bench_lib.command_growth import huge_command, residue_command, scale_command
from bench_lib.command_render import render_command
from bench_lib.latency.command import latency_command
from bench_lib.quantize.command import quantize_command
from bench_lib.quantize.command_calibration import calibration_command


@click.group()
def main() -> None:
    """Measure onnxopt and its peers, each in a fresh process."""


for _command in (
    compile_command,
    latency_command,
    quantize_command,
    calibration_command,
    render_command,
    scale_command,
    huge_command,
    residue_command,
):
    main.add_command(_command)

if __name__ == "__main__":
    main()
