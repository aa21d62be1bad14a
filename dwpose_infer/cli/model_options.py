"""The options that choose models, backend and device, of every command that predicts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .argument_values import key_and_value, positive_number

if TYPE_CHECKING:
    from ..runtime import Runtime


def add_model_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options that choose models, backend and device, for every command that predicts."""
    group.add_argument(
        "--pose",
        metavar="MODEL",
        help="name of a pose model (see `dwpose-models list`), path of an ONNX file, or with "
        "--backend trt of a TensorRT engine (.engine, .plan)",
    )
    group.add_argument(
        "--detector",
        "--det",
        metavar="MODEL",
        help="name of a person detector or path of such a file",
    )
    group.add_argument(
        "--backend",
        choices=("ort", "trt", "openvino"),
        default="ort",
        help="runtime: ort (ONNX Runtime), trt (TensorRT or TensorRT for RTX) or openvino "
        "(default: ort)",
    )
    group.add_argument(
        "--device",
        metavar="NAME",
        help="cpu, cuda or cuda:N; it is used, or an error says why it cannot be (default: cpu, "
        "with --backend trt cuda:0)",
    )
    group.add_argument(
        "--provider",
        choices=("cpu", "cuda", "tensorrt", "tensorrt-rtx"),
        help="execution provider of ONNX Runtime: cpu, cuda or tensorrt (default: the device's "
        "own); library of --backend trt: tensorrt or tensorrt-rtx, TensorRT for RTX (default: the "
        "one that is installed)",
    )
    group.add_argument(
        "--provider-option",
        action="append",
        type=key_and_value,
        metavar="KEY=VALUE",
        help="an option of the execution provider in ONNX Runtime's own words, such as "
        "gpu_mem_limit=2147483648 or cudnn_conv_algo_search=HEURISTIC; may be given several times",
    )
    group.add_argument(
        "--threads",
        type=positive_number,
        metavar="N",
        help="CPU threads of a network (default: cores)",
    )
    group.add_argument(
        "--precision",
        choices=("auto", "fp32", "fp16", "bf16"),
        help="what is calculated in: fp16 (where it is safe) or fp32 with --backend trt (default: "
        "fp16); fp32 or, on a CPU that has it, bf16 with --backend openvino (default: fp32), or "
        "auto: bf16 where the CPU has it, the file is known to keep its accuracy and it is faster "
        "here, which is timed once; ort takes the precision of the file",
    )
    group.add_argument(
        "--max-batch",
        type=positive_number,
        default=16,
        metavar="N",
        help="persons per call of the pose network at most (default: 16); with --backend trt the "
        "engine is built for it",
    )
    group.add_argument(
        "--square-input",
        action="store_true",
        help="give the detector every picture on its whole square, as the official code does "
        "(default: on a CPU, a canvas cut to the picture where the detector takes any size)",
    )
    group.add_argument("--offline", action="store_true", help="never download a model")


def runtime_of(given: Mapping[str, Any], *, progress: bool) -> Runtime:
    """Returns where networks run.

    Args:
        given: Name of an option -> value, those of `add_model_options` among them.
        progress: Show on standard error how models are downloaded and engines are built.
    """
    from ..runtime import Runtime

    names = ("backend", "device", "provider", "threads", "precision", "max_batch")
    return Runtime(
        **{name: given[name] for name in names},
        provider_options=dict(given["provider_option"] or ()),
        offline=True if given["offline"] else None,
        progress=progress,
    )
