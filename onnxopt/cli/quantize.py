"""``onnxopt quantize``: compute in integers."""

from __future__ import annotations

from typing import Any

import click

from .options import (
    debug_option,
    freeze_option,
    opset_option,
    result_options,
    target_option,
    validation_options,
)
from .parsing import Amount, Numbers, Pair, unique

_TYPES = ["u8", "s8", "u16", "s16", "fp8"]
_WEIGHTS = ["s8", "u8", "s4", "u4", "fp8"]


@click.command(name="quantize")
@click.argument("model")
@click.option("-o", "--output", required=True, metavar="OUT", help="Where to write the result.")
@click.option(
    "--mode",
    type=click.Choice(["auto", "static", "dynamic", "weight-only"]),
    default="auto",
    show_default=True,
    help="How to quantise; auto measures static and dynamic where there is data for them.",
)
@click.option(
    "--calibrate",
    metavar="FILE.npz|DIR|images:DIR|module:function",
    help="Samples to choose scales from.",
)
@click.option(
    "--eval",
    "evaluate",
    metavar="FILE.npz|DIR|images:DIR|module:function",
    help="Samples to judge results on. Default: those of --calibrate.",
)
@click.option("--samples", type=click.IntRange(1), metavar="N", help="Read N samples at most.")
@click.option("--mean", type=Numbers(), metavar="M[,M,M]", help="Of images: mean of each channel.")
@click.option("--std", type=Numbers(), metavar="S[,S,S]", help="Of images: spread of each channel.")
@click.option(
    "--size", type=Numbers(whole=True), metavar="H,W", help="Of images: height and width."
)
@click.option("--scale", type=float, help="Of images: factor of pixels. Default: 1/255.")
@click.option("--layout", type=click.Choice(["nchw", "nhwc"]), help="Of images: order of axes.")
@click.option("--channels", type=click.Choice(["rgb", "bgr", "gray"]), help="Of images: colours.")
@click.option(
    "--state",
    multiple=True,
    type=Pair(),
    metavar="OUTPUT=INPUT",
    help="An output that is the next sample's input; repeatable. Samples are then run in order.",
)
@click.option(
    "--activations", type=click.Choice(_TYPES), help="Type of activations. Default: the target's."
)
@click.option(
    "--weights",
    type=click.Choice(_WEIGHTS),
    help="Type of weights. Default: the target's; for weight-only: s8.",
)
@click.option(
    "--granularity",
    metavar="tensor|channel|block:N",
    default="",
    help="What shares a scale. Default: the target's; for weight-only: block:32.",
)
@click.option(
    "--method",
    default="",
    metavar="NAME",
    help="How ranges are chosen: minmax, moving-average, percentile:99.99, entropy, mse; for weight-only: "
    "rtn, mse, hqq, gptq, hmse. Default: the closest of three, where there is something to judge on; for weight-only: gptq "
    "of 4 bits where there are samples, else rtn.",
)
@click.option(
    "--symmetric/--asymmetric",
    default=None,
    help="Whether 0 is stored as the middle. Default: not, except in 8-bit weights.",
)
@click.option("--equalize", is_flag=True, help="Balance weights of consecutive layers first.")
@click.option("--bias-correct", is_flag=True, help="Take the weights' mean error out of biases.")
@click.option(
    "--smooth-quant",
    is_flag=False,
    flag_value="0.5",
    metavar="ALPHA",
    help="Move difficulty from activations to weights first; auto tries several.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="NAME|OPTYPE|PATTERN",
    help="Quantise nothing else; repeatable.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="NAME|OPTYPE|PATTERN",
    help="Leave in float; repeatable.",
)
@click.option(
    "--wide",
    multiple=True,
    metavar="NAME|OPTYPE|PATTERN",
    help="Give what these read and make 16 bits, for runtimes with such kernels; repeatable.",
)
@click.option(
    "--stats-out",
    metavar="FILE.json",
    help="Write the statistics gathered; if the file is of an interrupted run, go on with it.",
)
@click.option(
    "--stats-in",
    multiple=True,
    metavar="FILE.json",
    help="Use statistics instead of samples; several are merged.",
)
@click.option(
    "--max-drop",
    metavar="METRIC=VALUE",
    help="How much may be lost: top1=0.01, cosine=0.005, decisions=0.005 (at 0.5), snr=25 (dB, at least), or "
    "module:function=VALUE; several with , between. Layers go back to float until it holds. Default: "
    "snr=20,decisions=0.005.",
)
@click.option(
    "--strict-fusion",
    is_flag=True,
    help="Fail where a node that should compute in integers does not.",
)
@click.option(
    "--budget",
    type=Amount(positive=True),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to look for layers to leave in float and, with --report, for what each costs.",
)
@opset_option
@freeze_option
@target_option
@validation_options
@result_options
@debug_option
def command(model: str, output: str, state: Any, **given: Any) -> None:
    """Quantise MODEL, compare the result with the original, and write it to OUT.

    What costs too much accuracy stays in float, and what does not make the model faster is said to.
    With --report the cost of each layer is measured; as FILE.html it is a page that shows what to do about it.
    """
    from .. import api
    from ..report.html import quantisation
    from .producing import produce

    given["providers"] = given["providers"] or None
    given["activations"], given["weights"] = given["activations"] or "", given["weights"] or ""
    images = {key: given.pop(key) for key in ("mean", "std", "size", "scale", "layout", "channels")}
    given["images"] = {key: value for key, value in images.items() if value is not None}
    given["explain"] = given["report"] is not None
    given["state"] = unique(state, "--state")
    produce(api.quantize, model, output, page=quantisation.page, **given)
