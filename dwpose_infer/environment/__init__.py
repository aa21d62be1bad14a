"""What is installed on this machine, what it can run, and the commands that put it right."""

from __future__ import annotations

from .gpu import check_tensorrt, find_driver, tensorrt_problems
from .report import BackendStatus, Environment, inspect_environment
from .wheels import (
    check_opencv,
    onnxruntime_wheels,
    opencv_remedy,
    opencv_wheels,
    openvino_remedy,
    ort_remedy,
)

__all__ = [
    "BackendStatus",
    "Environment",
    "check_opencv",
    "check_tensorrt",
    "find_driver",
    "inspect_environment",
    "onnxruntime_wheels",
    "opencv_remedy",
    "opencv_wheels",
    "openvino_remedy",
    "ort_remedy",
    "tensorrt_problems",
]
