"""The command `dwpose-export`: networks in, verified ONNX files out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from .._version import __version__
from ..errors import DwposeError, MissingDependencyError

if TYPE_CHECKING:
    from .exporter import ExportOptions, ExportResult

_EPILOG = """\
SOURCE is one of
  a checkpoint   .pth or .safetensors of DWPose (RTMPose whole-body) or YOLOX: published files,
                 training runs of mmengine, DWPose's distillation, YOLOX; needs torch
  a name         of `dwpose-models list`
  an ONNX file   in official form, as published; never needs torch

forms:
  deploy    uint8 BGR pictures in, keypoints or boxes out: normalisation and decoding are inside
            pose      crops (N, H, W, 3) -> keypoints (N, 133, 2), crop pixels; scores (N, 133)
            detector  images (N, H, W, 3), letterboxed -> boxes_xyxy (N, K, 4), scores (N, K);
                      persons only; suppression is left to the caller
  official  the inputs and outputs of the published files, for other programs

precisions:
  fp32         float32 throughout
  fp16-stored  weights stored in half precision: half the file, computed in float32; for CPUs
  fp16         half precision where it is safe, float32 where fingers would suffer; for GPUs
  int8         static quantisation for CPUs; calibrated on your pictures

Every file is compared with its source on pictures before it is kept: distances in crop pixels,
over the points on which the source is sure. Over the limits, nothing is written. The package
brings three crops for this, and only one shows fingers (in gloves): for a verdict on fingers
give pictures of your own with --verify.

examples:
  dwpose-export dwpose-l --out l.onnx --precision fp16-stored
  dwpose-export rtmpose-m_270e-256x192.pth --out m.onnx --form official
  dwpose-export dwpose-l-384 --out l384-int8.onnx --precision int8 --calibration photos/
  dwpose-export my_yolox_s.pth --out s.onnx --input-size 512x384 --verify photos/ --report s.json
  dwpose-infer photo.jpg --pose l.onnx

exit status:
  0 written        1 failed, or the result differs from the source    2 wrong usage
  3 optional package unavailable    4 source not available or not usable    130 interrupted
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        Exit status, see `dwpose-export --help`.
    """
    arguments = _parser().parse_args(argv)
    try:
        result = _export(arguments)
    except DwposeError as error:
        print(f"dwpose-export: error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("dwpose-export: interrupted; nothing was written", file=sys.stderr)
        return 130
    if not arguments.quiet:
        print("\n".join(_summary(result)), file=sys.stderr)
    print(result.path)
    return 0


def _export(arguments: argparse.Namespace) -> ExportResult:
    if find_spec("onnx") is None:
        raise MissingDependencyError(
            'the package onnx is needed; install it with: pip install "dwpose-infer[export]"'
        )
    from .exporter import export_model

    def show(line: str) -> None:
        if not arguments.quiet:
            print(f"dwpose-export: {line}", file=sys.stderr, flush=True)

    return export_model(
        arguments.source,
        arguments.out,
        _options(arguments),
        report=arguments.report,
        progress=show,
        download_bar=sys.stderr.isatty() and not arguments.quiet,
    )


def _options(arguments: argparse.Namespace) -> ExportOptions:
    from .exporter import ExportOptions

    return ExportOptions(
        form=arguments.form,
        precision=arguments.precision,
        opset=arguments.opset,
        detector_size_wh=arguments.input_size,
        distiller_stage=arguments.distiller_stage,
        top_k=arguments.top_k,
        calibration=arguments.calibration,
        verify=arguments.verify,
        allow_undecided=arguments.allow_undecided,
        offline=True if arguments.offline else None,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dwpose-export",
        description="Convert networks to ONNX, verified against their source.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="checkpoint, name of a model, or ONNX file, see below"
    )
    parser.add_argument("--version", action="version", version=f"dwpose-infer {__version__}")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="file to write")
    parser.add_argument(
        "--form", choices=("deploy", "official"), default="deploy", help="default: deploy"
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "fp16-stored", "int8"),
        default="fp32",
        help="default: fp32",
    )
    parser.add_argument(
        "--opset", type=int, default=17, metavar="N", help="ONNX operator set (default: 17)"
    )
    parser.add_argument("--offline", action="store_true", help="never download a model")
    parser.add_argument("--quiet", action="store_true", help="print errors and the path only")
    _add_source_options(parser.add_argument_group("source and graph"))
    _add_gate_options(parser.add_argument_group("calibration and verification"))
    return parser


def _add_source_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--input-size",
        type=_size,
        metavar="N|WxH",
        help="input of a detector's checkpoint in pixels, multiples of 32 (default: 416 for nano "
        "and tiny, 640 for the others)",
    )
    group.add_argument(
        "--distiller-stage",
        type=int,
        choices=(1, 2),
        help="stage of DWPose's own training files (default: found out)",
    )
    group.add_argument(
        "--top-k",
        type=int,
        default=300,
        metavar="K",
        help="boxes a detector in deploy form hands over, before suppression (default: 300)",
    )


def _add_gate_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--calibration", type=Path, metavar="FOLDER", help="pictures of people for int8"
    )
    group.add_argument(
        "--verify",
        type=Path,
        metavar="FOLDER",
        help="compare on the persons of these pictures too",
    )
    group.add_argument(
        "--allow-undecided",
        action="store_true",
        help="where the network is not sure of a fifth of the points (random weights), accept "
        "equal raw outputs as evidence",
    )
    group.add_argument(
        "--report", type=Path, metavar="FILE", help="write the measurements as JSON, pass or fail"
    )


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor WIDTHxHEIGHT in pixels")
    return int(sides[0]), int(sides[-1])


def _summary(result: ExportResult) -> list[str]:
    facts = result.facts
    width, height = facts.input_size_wh
    operators = ", ".join(f"{count} {name}" for name, count in list(result.operators.items())[:6])
    return [
        f"{facts.name}, {facts.kind}, {facts.form} form, {facts.precision}, input "
        f"{width}x{height} (width x height), opset {facts.opset}",
        f"{result.size_bytes / 1e6:.2f} MB, {sum(result.operators.values())} operators: "
        f"{operators}, ...",
        *result.parity.summary(),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
