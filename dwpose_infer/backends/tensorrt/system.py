"""NVIDIA's driver, the GPUs it sees, the libraries on top of it, and what TensorRT still needs."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ...errors import BackendUnavailableError, MissingDependencyError
from ...wheels import installed, join_wheels
from .cuda_bindings import installed_binding, is_installed
from .products import TENSORRT, TENSORRT_RTX, Product

CUDA_RUNTIME_WHEELS = (
    "nvidia-cuda-runtime",
    "nvidia-cuda-runtime-cu13",
    "nvidia-cuda-runtime-cu12",
    "nvidia-cuda-runtime-cu11",
)
CUDNN_WHEELS = ("nvidia-cudnn-cu13", "nvidia-cudnn-cu12", "nvidia-cudnn-cu11")
TENSORRT_WHEELS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12", "tensorrt-cu11")
TENSORRT_RTX_WHEELS = ("tensorrt-rtx", "tensorrt-rtx-cu13", "tensorrt-rtx-cu12")
BINDING_WHEELS = ("pycuda", "cuda-python", "cuda-bindings")

PROC_VERSION = Path("/proc/driver/nvidia/version")
"""Where the driver's kernel module tells its version, on Linux."""

NVIDIA_SMI_TIMEOUT_S = 2.0

# Numbers of the driver's interface, from cuda.h.
_CUDA_SUCCESS = 0
_ATTRIBUTE_COMPUTE_CAPABILITY = (75, 76)  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR


@dataclass(frozen=True, slots=True)
class Driver:
    """What NVIDIA's driver says about itself.

    Attributes:
        cuda_version: The newest CUDA (major, minor) it runs; (0, 0) where it does not say.
        gpus: A line for each GPU, in the order in which CUDA counts them.
        problem: Why it cannot be used, or None.
    """

    cuda_version: tuple[int, int]
    gpus: tuple[str, ...]
    problem: str | None = None


def find_driver() -> Driver | None:
    """Asks NVIDIA's driver for its version and its GPUs.

    The driver's own library is asked: every CUDA program needs it, and it counts the GPUs as
    "cuda:N" does, after the variable CUDA_VISIBLE_DEVICES.

    Returns:
        What it says, or None where there is no driver.
    """
    try:
        library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        version = ctypes.c_int()
        library.cuDriverGetVersion(ctypes.byref(version))
        code = library.cuInit(0)
        if code != _CUDA_SUCCESS:
            return Driver(_split_version(version.value), (), _error_name(library, code))
        return Driver(_split_version(version.value), _gpus(library))
    except (OSError, AttributeError):  # no such library, or none of NVIDIA's
        return None


def _split_version(number: int) -> tuple[int, int]:
    return number // 1000, number % 1000 // 10


def _error_name(library: ctypes.CDLL, code: int) -> str:
    name = ctypes.c_char_p()
    if library.cuGetErrorName(code, ctypes.byref(name)) == _CUDA_SUCCESS and name.value:
        return name.value.decode()
    return f"error {code} of CUDA"


def _gpus(library: ctypes.CDLL) -> tuple[str, ...]:
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    lines = []
    for index in range(count.value):
        device, size_bytes = ctypes.c_int(), ctypes.c_size_t()
        name = ctypes.create_string_buffer(256)
        library.cuDeviceGet(ctypes.byref(device), index)
        library.cuDeviceGetName(name, len(name), device)
        library.cuDeviceTotalMem_v2(ctypes.byref(size_bytes), device)
        capability = []
        for attribute in _ATTRIBUTE_COMPUTE_CAPABILITY:
            value = ctypes.c_int()
            library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
            capability.append(str(value.value))
        lines.append(
            f"cuda:{index} {name.value.decode(errors='replace')}, "
            f"{size_bytes.value / 2**30:.0f} GiB, compute capability {'.'.join(capability)}"
        )
    return tuple(lines)


def gpu_versions() -> dict[str, str]:
    """Returns the driver, the GPUs and the libraries of NVIDIA: component -> version or state."""
    driver = find_driver()
    return {
        "NVIDIA driver": _driver_words(driver),
        "GPUs": "; ".join(driver.gpus) if driver and driver.gpus else "none",
        "CUDA": join_wheels(installed(CUDA_RUNTIME_WHEELS), _toolkit()),
        "cuDNN": join_wheels(installed(CUDNN_WHEELS), _system_cudnn()),
        "TensorRT": join_wheels(installed(TENSORRT_WHEELS), _tensorrt_without_wheel()),
        "TensorRT for RTX": join_wheels(installed(TENSORRT_RTX_WHEELS)),
        "CUDA bindings": join_wheels(installed(BINDING_WHEELS)),
    }


def _driver_words(driver: Driver | None) -> str:
    if driver is None:
        return "not installed"
    words = [driver_version() or "of unknown version"]
    if driver.cuda_version > (0, 0):
        words.append("for CUDA up to {}.{}".format(*driver.cuda_version))
    if driver.problem:
        words.append(f"not usable: {driver.problem}")
    return ", ".join(words)


def driver_version() -> str | None:
    """Returns the version of NVIDIA's driver, such as "580.65.06", or None."""
    try:
        text = PROC_VERSION.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = _ask_nvidia_smi("--query-gpu=driver_version", "--format=csv,noheader") or ""
    match = re.search(r"\b\d{3}\.\d+(?:\.\d+)?\b", text)
    return match[0] if match else None


def _ask_nvidia_smi(*arguments: str) -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *arguments],
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout


def _toolkit() -> str | None:
    """The CUDA toolkit that was installed for the whole system, with its version."""
    for place in (os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), "/usr/local/cuda"):
        folder = Path(place) if place else None
        if folder is None or not folder.is_dir():
            continue
        try:
            facts = json.loads((folder / "version.json").read_text(encoding="utf-8"))
            return f"toolkit {facts['cuda']['version']} in {folder}"
        except (OSError, ValueError, KeyError, TypeError):
            match = re.search(r"-(\d+\.\d+)$", str(folder.resolve()))
            return f"toolkit {match[1] if match else 'of unknown version'} in {folder}"
    return None


def _system_cudnn() -> str | None:
    """The cuDNN 9 among the system's libraries; ONNX Runtime wants this major version."""
    name = "cudnn64_9.dll" if sys.platform == "win32" else "libcudnn.so.9"
    try:
        version = int(ctypes.CDLL(name).cudnnGetVersion())
    except (OSError, AttributeError):
        return None
    return f"system {version // 10000}.{version // 100 % 100}.{version % 100}"


def _tensorrt_without_wheel() -> str | None:
    if installed(TENSORRT_WHEELS) or not is_installed("tensorrt"):
        return None
    return "module tensorrt, without a wheel of that name"


def tensorrt_problems(product: Product) -> list[str]:
    """Returns all that TensorRT lacks on this machine, in the order in which to put it right."""
    problems = []
    driver = find_driver()
    if driver is None:
        problems.append(
            "no NVIDIA driver: TensorRT runs on NVIDIA GPUs only; install the driver "
            "(https://www.nvidia.com/drivers), nvidia-smi has to list the GPU"
        )
    elif driver.problem:
        problems.append(
            f"the NVIDIA driver does not work ({driver.problem}): update or reinstall it, "
            "nvidia-smi has to list the GPU"
        )
    elif not driver.gpus:
        problems.append(
            "no GPU to be seen: nvidia-smi has to list it, and the variable CUDA_VISIBLE_DEVICES "
            "must not hide it"
        )
    missing = not is_installed(product.module)
    command = tensorrt_command(driver, product)
    if missing:
        problems.append(f"{product.name} is not installed: {command}{_smaller(product)}")
    if installed_binding() is None:
        brings = "the same command brings" if missing else f"{command} brings"
        problems.append(
            f"neither cuda-python nor pycuda is installed: {brings} cuda-python "
            '("dwpose-infer[trt-pycuda]" compiles pycuda instead)'
        )
    return problems


def _smaller(product: Product) -> str:
    if product is TENSORRT_RTX:
        return ""
    return (
        f"; or, on a GeForce or RTX card, the smaller {TENSORRT_RTX.name}: pip install "
        f'"dwpose-infer[{TENSORRT_RTX.extra}]"'
    )


def tensorrt_command(driver: Driver | None, product: Product = TENSORRT) -> str:
    """Returns the command that installs TensorRT for a driver.

    The wheels that the extras name are for the newest CUDA, 13; a driver of CUDA 12 needs those
    for CUDA 12.
    """
    if driver is not None and driver.cuda_version[0] == 12:
        oldest = ".".join(map(str, product.oldest)).removesuffix(".0")
        wheels = f'"{product.key}-cu12>={oldest}" "cuda-python>=12.6,<13"'
        return f'pip install {wheels} "dwpose-infer[cpu]" onnx filelock'
    return f'pip install "dwpose-infer[{product.extra}]"'


def check_tensorrt(product: Product) -> None:
    """Raises unless everything that TensorRT needs is there; names all that is missing at once.

    Raises:
        BackendUnavailableError: There is no usable driver or GPU.
        MissingDependencyError: Only Python packages are missing.
    """
    problems = tensorrt_problems(product)
    if not problems:
        return
    listed = "; ".join(f"({number}) {problem}" for number, problem in enumerate(problems, 1))
    message = f"{product.name} cannot be used here: {listed}"
    driver = find_driver()
    if driver is None or driver.problem or not driver.gpus:
        raise BackendUnavailableError(
            f"{message}. Without an NVIDIA GPU: --backend ort or --backend openvino"
        )
    raise MissingDependencyError(message)
