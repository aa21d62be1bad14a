"""The wheels that are installed, what lies over one another, and the commands that put it right."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import metadata

from .errors import BackendUnavailableError

logger = logging.getLogger(__name__)

OPENCV_5 = (
    "OpenCV {version} resamples a little differently from 4.x, with which the official results "
    "were made: on 156 photographs boxes were the same; of the points above 0.3 7 % moved, 1 % by "
    'more than 0.8 px. For the official results: pip install "opencv-python-headless>=4.8,<5"'
)
"""What is said of OpenCV 5; measured with 5.0.0 against 4.14.0 on 156 photographs."""

ORT_WHEELS = (
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-directml",
    "onnxruntime-openvino",
    "onnxruntime-rocm",
    "onnxruntime-migraphx",
    "onnxruntime-training",
)
"""Wheels that all install the same `onnxruntime` folder, over one another."""

OPENCV_WHEELS = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)
"""Wheels that all install the same `cv2` folder, over one another."""

MEASURED_WHEELS = (
    "numpy",
    "opencv-python-headless",
    "opencv-python",
    "onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "tensorrt",
    "torch",
    "pycocotools",
    "fvcore",
    "rtmlib",
)
"""Wheels whose version can change what is measured: results name those that are installed."""


def installed(names: tuple[str, ...]) -> dict[str, str]:
    """Returns those of the wheels that are installed: name -> version."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def onnxruntime_wheels() -> dict[str, str]:
    """Returns the ONNX Runtime wheels installed: name -> version."""
    return installed(ORT_WHEELS)


def opencv_wheels() -> dict[str, str]:
    """Returns the OpenCV wheels installed: name -> version."""
    return installed(OPENCV_WHEELS)


def opencv_in_words() -> str:
    """Returns the OpenCV wheels installed, and which version is loaded where they do not say."""
    wheels = opencv_wheels()
    if len(wheels) == 1:
        return join_wheels(wheels)
    try:
        import cv2
    except ImportError:
        return join_wheels(wheels)
    return join_wheels(wheels, f"loaded: {getattr(cv2, '__version__', 'of unknown version')}")


def ort_remedy(provider: str) -> str:
    """Returns the sentence that tells how to get ONNX Runtime with a provider.

    Args:
        provider: "cpu", "cuda" or "tensorrt".
    """
    extra = "cpu" if provider == "cpu" else "gpu"
    install = f'pip install "dwpose-infer[{extra}]"'
    wheels = onnxruntime_wheels()
    wanted = "onnxruntime" if provider == "cpu" else "onnxruntime-gpu"
    if list(wheels) not in ([], [wanted]):
        install = f"pip uninstall -y {' '.join(wheels)} && {install}"
    if provider == "cpu":
        return f"Remedy: {install}"
    if provider == "tensorrt":
        install += ' "tensorrt>=10,<11"'  # its provider wants libnvinfer.so.10
    return (
        f"Remedy: {install}, which brings the CUDA and cuDNN libraries; the NVIDIA driver must be "
        "installed too (see nvidia-smi)"
    )


def openvino_remedy() -> str:
    """Returns the sentence that tells how to get OpenVINO."""
    return 'Remedy: pip install "dwpose-infer[openvino]"'


def opencv_remedy() -> str:
    """Returns the sentence that tells how to get exactly one OpenCV 4 wheel."""
    wheels = " ".join(opencv_wheels() or OPENCV_WHEELS)
    return f'Remedy: pip uninstall -y {wheels} && pip install "opencv-python-headless>=4.8,<5"'


def check_opencv() -> str | None:
    """Finds out whether the installed OpenCV computes what the official results were made with.

    Returns:
        What differs, in words, with OpenCV 5, which packages beside this one may need; None with
        OpenCV 4.

    Raises:
        BackendUnavailableError: OpenCV is older than 4, or its version cannot be told.
    """
    import cv2

    # Removing one of two wheels can leave an empty cv2 folder, which imports without a version.
    version = getattr(cv2, "__version__", "of unknown version")
    major = version.split(".")[0]
    if major == "4":
        return None
    if major == "5":
        return OPENCV_5.format(version=version)
    raise BackendUnavailableError(
        f"OpenCV {version} is installed, but 4.x is needed. {opencv_remedy()}"
    )


@lru_cache(maxsize=1)
def warn_about_opencv() -> None:
    """Checks OpenCV, and says once in a process what OpenCV 5 changes.

    Raises:
        BackendUnavailableError: As `check_opencv`.
    """
    difference = check_opencv()
    if difference is not None:
        logger.warning("%s", difference)


def join_wheels(wheels: dict[str, str], *others: str | None) -> str:
    """Returns wheels and what else there is in one line, or "not installed"."""
    words = [f"{name} {version}" for name, version in wheels.items()]
    return ", ".join([*words, *filter(None, others)]) or "not installed"
