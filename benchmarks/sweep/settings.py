"""What `dwpose-bench sweep` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..benchmark import option
from ..network_options import DeviceSettings


@dataclass(frozen=True, kw_only=True)
class SweepSettings(DeviceSettings):
    """Which networks are swept over what."""

    models: Sequence[str] = option(
        "models",
        nargs="*",
        metavar="MODEL",
        help="pose models or detectors, names or ONNX files (default: the bundled ones)",
    )
    random_weights: Sequence[str] = option(
        "--random-weights",
        nargs="+",
        default=[],
        metavar="NAME",
        help="published pose networks with random weights, such as dwpose-l-384; needs torch",
    )
    backend: Literal["ort", "openvino"] = option(
        "--backend", choices=("ort", "openvino"), default="ort", help="runtime (default: ort)"
    )
    deploy: Literal["fp32", "fp16"] | None = option(
        "--deploy",
        choices=("fp32", "fp16"),
        help="convert the networks to deploy form (uint8 pictures in) in this precision first, as "
        "`dwpose-export` does (default: as they are)",
    )
    threads: Sequence[int] | None = option(
        "--threads",
        nargs="+",
        type=int,
        metavar="N",
        help="numbers of threads (default: 1, 2, 4 and so on up to the physical cores; on a "
        "GPU those cores alone)",
    )
    batches: Sequence[int] = option(
        "--batches",
        nargs="+",
        type=int,
        default=[1, 2, 4, 8, 16],
        metavar="N",
        help="sizes of batch (default: 1 2 4 8 16)",
    )
    repeats: int = option("--repeats", type=int, default=20, help="rounds (default: 20)")
