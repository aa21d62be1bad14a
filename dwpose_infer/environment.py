"""What is installed on this machine, what it can run, and the commands that put it right."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ._version import __version__
from .errors import BackendUnavailableError, DwposeError

if TYPE_CHECKING:
    from .backends import BackendName

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


@dataclass(frozen=True, slots=True)
class BackendStatus:
    """Whether a backend can be used on this machine.

    Attributes:
        name: The backend and its device, as the commands name them.
        usable: Whether a network was really loaded with it just now.
        detail: What it runs on, or why it does not run and what to do.
    """

    name: str
    usable: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Environment:
    """What matters for running the package on this machine.

    Attributes:
        versions: Name of each component -> its version or state.
        backends: The backends, usable or not.
        warnings: What is likely to cause trouble, with the remedy.
    """

    versions: dict[str, str]
    backends: list[BackendStatus]
    warnings: list[str]


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def onnxruntime_wheels() -> dict[str, str]:
    """Returns the ONNX Runtime wheels installed: name -> version."""
    return _installed(ORT_WHEELS)


def opencv_wheels() -> dict[str, str]:
    """Returns the OpenCV wheels installed: name -> version."""
    return _installed(OPENCV_WHEELS)


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
    libraries = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
    if provider == "tensorrt":
        libraries += " tensorrt"
    return (
        f"Remedy: {install}; the CUDA and cuDNN libraries come with: {libraries}; "
        "the NVIDIA driver must be installed too (see nvidia-smi)"
    )


def openvino_remedy() -> str:
    """Returns the sentence that tells how to get OpenVINO."""
    return 'Remedy: pip install "dwpose-infer[openvino]"'


def opencv_remedy() -> str:
    """Returns the sentence that tells how to get exactly one OpenCV 4 wheel."""
    wheels = " ".join(opencv_wheels() or OPENCV_WHEELS)
    return f'Remedy: pip uninstall -y {wheels} && pip install "opencv-python-headless>=4.8,<5"'


def check_opencv() -> None:
    """Raises unless the installed OpenCV computes what the official results were made with.

    Raises:
        BackendUnavailableError: OpenCV is not 4.x. OpenCV 5.0 resamples differently: up to 5 grey
            levels on 4 to 17 % of a crop's values.
    """
    import cv2

    # Removing one of two wheels can leave an empty cv2 folder, which imports without a version.
    version = getattr(cv2, "__version__", "of unknown version")
    if version.split(".")[0] != "4":
        raise BackendUnavailableError(
            f"OpenCV {version} is installed, but 4.x is needed: other versions resample "
            f"differently and shift the keypoints. {opencv_remedy()}"
        )


def inspect_environment() -> Environment:
    """Looks at the installed packages and tries every backend with the bundled detector."""
    return Environment(
        versions=_versions(),
        backends=[
            _try_backend("ort", "cpu"),
            _try_backend("ort", "cuda"),
            _try_backend("trt", "cuda"),
            _try_backend("openvino", "cpu"),
        ],
        warnings=_warnings(),
    )


def _versions() -> dict[str, str]:
    from .zoo import cache_folder, is_offline

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "dwpose-infer": f"{__version__} ({Path(__file__).parent})",
        "Python": f"{platform.python_version()} ({sys.executable})",
        "system": f"{platform.platform()}, {cores} CPU cores usable",
        **{name: _installed((name,)).get(name, "not installed") for name in ("numpy", "pillow")},
        "OpenCV": _join(opencv_wheels()),
        "ONNX Runtime": _join(onnxruntime_wheels()),
        "providers": ", ".join(_providers()) or "none",
        "OpenVINO": _join(_installed(("openvino",))),
        "models": f"{cache_folder()}{' (offline)' if is_offline() else ''}",
    }


def _join(wheels: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in wheels.items()) or "not installed"


def _providers() -> list[str]:
    try:
        import onnxruntime
    except ImportError:
        return []
    available = getattr(onnxruntime, "get_available_providers", list)
    return list(available())


def _try_backend(backend: BackendName, device: str) -> BackendStatus:
    from .backends import load_backend
    from .zoo import resolve_model

    name = f"--backend {backend} --device {device}"
    try:
        model = resolve_model("yolox-nano-person-bundled")
        with load_backend(backend, model, device=device) as loaded:
            loaded.warmup()
            return BackendStatus(name, True, loaded.description)
    except DwposeError as error:
        return BackendStatus(name, False, str(error))


def _warnings() -> list[str]:
    found = []
    try:
        check_opencv()
    except BackendUnavailableError as error:
        found.append(str(error))
    if len(opencv_wheels()) > 1:
        found.append(
            f"several OpenCV wheels lie over one another ({_join(opencv_wheels())}); which one is "
            f"used is chance. {opencv_remedy()}"
        )
    if len(onnxruntime_wheels()) > 1:
        found.append(
            f"several ONNX Runtime wheels lie over one another ({_join(onnxruntime_wheels())}); "
            f"GPU support may be lost. {ort_remedy('cuda')}"
        )
    return found
