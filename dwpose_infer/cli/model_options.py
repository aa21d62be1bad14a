"""The options that choose models, backend and device, of every command that predicts."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .argument_values import key_and_value, positive_number, share_number

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


def add_person_options(group: argparse._ArgumentGroup) -> None:
    """Adds the options that choose persons, for commands that do nothing but predict pictures."""
    group.add_argument(
        "--score-threshold",
        type=share_number,
        metavar="X",
        help="least score of a person, 0 to 1 (default: the detector's own, 0.3 for most)",
    )
    group.add_argument(
        "--nms-threshold",
        type=share_number,
        metavar="X",
        help="of two boxes whose IoU is above this the better one stays (default: 0.45)",
    )
    group.add_argument(
        "--max-persons", type=positive_number, metavar="N", help="keep N persons of a picture"
    )
    group.add_argument(
        "--prefer",
        choices=("score", "largest", "center"),
        help="whom --max-persons keeps (default: score)",
    )
    group.add_argument(
        "--flip-test", action="store_true", help="look at mirror images too and take the mean"
    )
    group.add_argument(
        "--keep-doubtful",
        action="store_true",
        help="keep persons whose points say that nobody is there, or somebody twice",
    )


def predictor_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options of `Predictor` by name, those that differ from its own.

    Args:
        given: Name of an option -> value, those of `add_model_options` and `add_person_options`
            among them.

    Raises:
        InvalidArgumentError: One needs another that is not given.
    """
    from ..errors import InvalidArgumentError

    if given["prefer"] is not None and given["max_persons"] is None:
        raise InvalidArgumentError("--prefer says whom --max-persons keeps; give it too")
    names = (
        *("pose", "detector", "backend", "device", "provider", "threads", "precision"),
        *("max_batch", "score_threshold", "nms_threshold", "max_persons", "prefer"),
        *("square_input", "keep_doubtful", "flip_test", "max_pixels"),
    )
    chosen = {name: given[name] for name in names}
    chosen["provider_options"] = dict(given["provider_option"] or ()) or None
    chosen["offline"] = given["offline"] or None
    return {name: value for name, value in chosen.items() if value not in (None, False)}


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
