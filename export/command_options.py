"""Options of the command `dwpose-export`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..cli.argument_values import key_and_value
from ..cli.standard_options import standard_parser

if TYPE_CHECKING:
    from .metadata import Form, Precision


class CommandOptions(NamedTuple):
    """What the parser reads, as --help describes the options of the same names."""

    source: str
    out: Path
    to: Literal["onnx", "engine", "triton"]
    form: Form
    precision: Precision | None
    opset: int
    offline: bool
    quiet: bool
    input_size: tuple[int, int] | None
    distiller_stage: Literal[1, 2] | None
    top_k: int
    fixed_size: bool
    whole_kernels: bool
    max_batch: int | None
    opt_batch: int | None
    workspace_mib: int | None
    provider: Literal["cuda", "tensorrt", "tensorrt-rtx"] | None
    provider_option: list[tuple[str, str]] | None
    capabilities: tuple[str, ...] | None
    device: str | None
    instances: int | None
    instance_kind: Literal["cpu", "gpu"] | None
    queue_delay_us: int | None
    calibration: Path | None
    verify: Path | None
    labels: tuple[Path, Path] | None
    against: str | None
    allow_undecided: bool
    report: Path | None


_EPILOG = """\
SOURCE is one of
  a checkpoint   .pth or .safetensors of DWPose (RTMPose whole-body) or YOLOX: published files,
                 training runs of mmengine, DWPose's distillation, YOLOX; needs torch
  a name         of `dwpose-models list`
  an ONNX file   in official form, as published; never needs torch

forms:
  deploy    uint8 BGR pictures in, keypoints or boxes out: normalisation and decoding are inside
            pose      crops (N, H, W, 3) -> keypoints (N, 133, 2), crop pixels; scores (N, 133);
                      17, 23 or 26 (Halpe) in place of 133 for networks of so many points
            detector  images (N, H, W, 3), letterboxed -> boxes_xyxy (N, K, 4), scores (N, K);
                      persons only; suppression is left to the caller
  official  the inputs and outputs of the published files, for other programs

precisions:
  fp32         float32 throughout
  fp16-stored  weights stored in half precision: half the file, computed in float32; for CPUs
  fp16         half precision where it is safe, float32 where fingers would suffer; for GPUs
  int8         static quantisation for CPUs; calibrated on your pictures, or trained for it
               (dwpose-train int8)

--to engine builds a TensorRT engine instead, in fp16 or fp32, for the GPU of this machine and the
version of TensorRT on it, and writes what it was built for beside it (FILE.json). It needs
`pip install "dwpose-infer[trt]"` and takes minutes. Use it with --backend trt; without it,
--backend trt builds its engines by itself, on first use.
With TensorRT for RTX (`pip install "dwpose-infer[trt-rtx]"`) an engine is built in seconds, on any
machine, without a GPU: for the compute capabilities that --capabilities names.

--to triton writes a model repository for NVIDIA's Triton Inference Server instead: --out is its
folder, and in it NAME/1/model.onnx (deploy form) and NAME/config.pbtxt with dynamic batching.

Every file is compared with its source on pictures before it is kept: distances in crop pixels,
over the points on which the source is sure. Over the limits, nothing is written. That runs on the
CPU, where half precision is computed in float32 between the nodes; fp16 is compared again on the
GPU of this machine, where there is one, everything else with --device cuda. The package
brings three crops for this, and only one shows fingers (in gloves): for a verdict on fingers
give pictures of your own with --verify.

examples:
  dwpose-export dwpose-l --out l.onnx --precision fp16-stored
  dwpose-export rtmpose-m_270e-256x192.pth --out m.onnx --form official
  dwpose-export dwpose-l-384 --out l384-int8.onnx --precision int8 --calibration photos/
  dwpose-export runs/q/best.pth --out q.onnx --precision int8 --labels val.json val2017/ \\
      --against float.pth
  dwpose-export my_yolox_s.pth --out s.onnx --input-size 512x384 --verify photos/ --report s.json
  dwpose-export dwpose-l --out l16.onnx --precision fp16 --device cuda --verify photos/
  dwpose-export dwpose-l --to engine --out l.engine --max-batch 8
  dwpose-export dwpose-l --to engine --provider tensorrt-rtx --capabilities 7.5,8.6 --out l.engine
  dwpose-export dwpose-s-bundled --to triton --out repository/ --instances 2
  dwpose-infer photo.jpg --pose l.onnx

exit status:
  0 written        1 failed, or the result differs from the source    2 wrong usage
  3 optional package, TensorRT or GPU unavailable    4 source not available or not usable
  130 interrupted
"""


def command_parser() -> argparse.ArgumentParser:
    """Returns the parser; its arguments are the fields of `CommandOptions`."""
    parser = standard_parser(
        "dwpose-export",
        "Convert networks to ONNX or TensorRT, verified against their source.",
        _EPILOG,
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="checkpoint, name of a model, or ONNX file, see below"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="PATH", help="file; a folder for Triton"
    )
    parser.add_argument(
        "--to", choices=("onnx", "engine", "triton"), default="onnx", help="default: onnx"
    )
    parser.add_argument(
        "--form", choices=("deploy", "official"), default="deploy", help="default: deploy"
    )
    parser.add_argument(
        "--precision",
        choices=("fp32", "fp16", "fp16-stored", "int8"),
        help="default: fp32, for engines fp16",
    )
    parser.add_argument(
        "--opset", type=int, default=17, metavar="N", help="ONNX operator set (default: 17)"
    )
    parser.add_argument("--offline", action="store_true", help="never download a model")
    parser.add_argument("--quiet", action="store_true", help="print errors and the path only")
    _add_source_options(parser.add_argument_group("source and graph"))
    _add_engine_options(parser.add_argument_group("engine"))
    _add_triton_options(parser.add_argument_group("Triton"))
    _add_gate_options(parser.add_argument_group("calibration and verification"))
    _add_device_options(parser.add_argument_group("device"))
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
    group.add_argument(
        "--fixed-size",
        action="store_true",
        help="let a detector in deploy form take its own input size alone (default: any height "
        "and width in multiples of 32, so that wide pictures cost less; fp16 and engines: fixed)",
    )
    group.add_argument(
        "--whole-kernels",
        action="store_true",
        help="leave the last convolution of a pose network whole, for GPUs, as --device cuda does "
        "(default: in deploy form and float32 it is taken apart into columns, for CPUs)",
    )


def _add_engine_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--max-batch", type=int, metavar="N", help="largest batch it takes (default: 16)"
    )
    group.add_argument(
        "--opt-batch", type=int, metavar="N", help="batch it is tuned for (default: 1)"
    )
    group.add_argument(
        "--workspace-mib",
        type=int,
        metavar="M",
        help="memory its steps may use besides the tensors, in MiB (default: all of the GPU's)",
    )
    group.add_argument(
        "--capabilities",
        type=_listed,
        metavar="LIST",
        help="compute capabilities that TensorRT for RTX builds it for: 8.0+ (all but 7.5), or "
        "some of 7.5, 8.0, 8.6, 8.9, 12.0, 12.1 with commas between them (default: that of the "
        "GPU, without one 8.0+)",
    )


def _add_triton_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--instances", type=int, metavar="N", help="copies that run at the same time (default: 1)"
    )
    group.add_argument(
        "--instance-kind", choices=("cpu", "gpu"), help="where they run (default: cpu)"
    )
    group.add_argument(
        "--queue-delay-us",
        type=int,
        metavar="N",
        help="microseconds a request may wait for others to share its batch (default: 2000)",
    )


def _add_gate_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="pictures of people for int8 (a network of dwpose-train int8 needs none)",
    )
    group.add_argument(
        "--verify",
        type=Path,
        metavar="FOLDER",
        help="compare on the persons of these pictures too",
    )
    group.add_argument(
        "--labels",
        nargs=2,
        type=Path,
        metavar=("ANNOTATIONS", "IMAGES"),
        help="measure a pose network on these labelled persons before and after: no part may lose "
        "more than 0.003 of PCK (within 5 %% of the box), AP not more than 0.005; in a precision "
        "below fp32 this judges in place of the largest distances",
    )
    group.add_argument(
        "--against",
        metavar="SOURCE",
        help="with --labels, the network whose accuracy is to be kept (default: SOURCE itself)",
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


def _add_device_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--device",
        metavar="cpu|cuda[:N]",
        help="GPU on which a file is compared with its source, too (default: cuda for fp16 where "
        "ONNX Runtime has one to use, else cpu: none); that an engine is built for (default: cuda; "
        "TensorRT for RTX needs none)",
    )
    group.add_argument(
        "--provider",
        choices=("cuda", "tensorrt", "tensorrt-rtx"),
        help="what runs a file there: ONNX Runtime's cuda (default) or tensorrt; what builds an "
        "engine: tensorrt or tensorrt-rtx, TensorRT for RTX (default: the one installed)",
    )
    group.add_argument(
        "--provider-option",
        action="append",
        type=key_and_value,
        metavar="KEY=VALUE",
        help="an option of ONNX Runtime's provider that the file will be run with, such as "
        "use_tf32=1; may be given several times",
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(",")))


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is neither N nor WIDTHxHEIGHT in pixels")
    return int(sides[0]), int(sides[-1])
