"""What TensorRT for RTX has beyond TensorRT: a judgement before loading, kernels compiled here.

An engine of it holds code that is compiled for the GPU when it is first run. What was compiled is
kept in a file beside the engine, one for each kind of GPU; the library itself refuses a file of
another GPU, driver or version, and it is then written anew.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ...errors import BackendUnavailableError, DeviceMemoryError, ModelFormatError, OutputError
from ...files.atomic import write_bytes
from .cuda import Gpu
from .products import FROM_AMPERE

logger = logging.getLogger(__name__)

CACHE_SUFFIX: Final = ".kernels"

_WHY_INVALID: Final = {
    "VERSION_MISMATCH": "it was built by another version",
    "UNSUPPORTED_CC": "it was not built for this GPU's compute capability",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old for it",
    "OLD_CUDA_RUNTIME": "the CUDA runtime is too old for it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little memory",
    "MALFORMED_ENGINE": "the file is damaged, or no engine of TensorRT for RTX",
    "CUDA_ERROR": "CUDA does not work here",
}
"""Members of its `EngineInvalidityDiagnostics`, in words."""

_MACHINE: Final = frozenset({"OLD_CUDA_DRIVER", "OLD_CUDA_RUNTIME", "CUDA_ERROR"})
"""Those that another engine would not change."""


def set_capabilities(rtx: Any, config: Any, capabilities: Sequence[str]) -> None:
    """Tells a builder's configuration which GPUs to build for.

    Args:
        rtx: The library's module.
        config: The configuration.
        capabilities: Some of `CAPABILITIES`.
    """
    if FROM_AMPERE in capabilities:
        return  # what it builds for unless it is told
    config.num_compute_capabilities = len(capabilities)
    for index, capability in enumerate(capabilities):
        member = getattr(rtx.ComputeCapability, f"SM{capability.replace('.', '')}")
        config.set_compute_capability(member, index)


def require_valid(rtx: Any, runtime: Any, plan: bytes, engine_path: Path, gpu: Gpu) -> None:
    """Asks the library whether it can run an engine here, which costs less than loading it.

    Args:
        rtx: The library's module.
        runtime: Its runtime.
        plan: The engine's bytes.
        engine_path: Where they come from.
        gpu: The GPU, which has to be current.

    Raises:
        ModelFormatError: The engine is not for this GPU or this version, or damaged.
        DeviceMemoryError: The GPU has too little memory.
        BackendUnavailableError: Driver or CUDA do not do.
    """
    validity, bits = runtime.get_engine_validity(plan)
    if validity == rtx.EngineValidity.VALID:
        return
    members = rtx.EngineInvalidityDiagnostics.__members__
    found = [name for name, member in members.items() if int(bits) & int(member)]
    reasons = "; ".join(_WHY_INVALID.get(name, name) for name in found) or "no reason given"
    if validity == rtx.EngineValidity.SUBOPTIMAL:
        logger.warning("%s may run slower than it could: %s", engine_path, reasons)
        return
    capability = ".".join(map(str, gpu.compute_capability))
    message = (
        f"{engine_path} cannot run with TensorRT for RTX {rtx.__version__} on {gpu.name}, compute "
        f"capability {capability}: {reasons}"
    )
    if "INSUFFICIENT_GPU_MEMORY" in found:
        raise DeviceMemoryError(f"{message}. Remedy: a smaller largest batch (--max-batch)")
    if _MACHINE.intersection(found):
        raise BackendUnavailableError(f"{message}. Remedy: update the NVIDIA driver")
    raise ModelFormatError(
        f"{message}. Remedy: build it for this GPU, with `dwpose-export --to engine --provider "
        "tensorrt-rtx`, or give the ONNX file to --backend trt, which builds it"
    )


def kernels_path(engine_path: Path, gpu_name: str) -> Path:
    """Where the kernels that were compiled for an engine on a kind of GPU are kept."""
    kind = re.sub(r"[^A-Za-z0-9]+", "-", gpu_name).strip("-")
    return engine_path.with_name(f"{engine_path.name}.{kind}{CACHE_SUFFIX}")


class CompiledKernels:
    """The kernels of one loaded engine: read before it runs, written when it is closed."""

    def __init__(self, rtx: Any, engine: Any, path: Path | None) -> None:
        """Reads what an earlier process compiled.

        Args:
            rtx: The library's module.
            engine: The engine.
            path: File that keeps them; None keeps nothing.
        """
        self._path = path
        self._read: bytes | None = None
        self._config = engine.create_runtime_config()
        # The batch is the number of persons, which changes from picture to picture: a new size
        # runs on general kernels at once, and on its own as soon as those are compiled.
        strategies = rtx.DynamicShapesKernelSpecializationStrategy
        self._config.dynamic_shapes_kernel_specialization_strategy = strategies.LAZY
        self._cache = self._config.create_runtime_cache()
        if path is not None and path.is_file():
            self._read = path.read_bytes()
            if not self._cache.deserialize(self._read):
                logger.info("%s is for another GPU, driver or version: compiling anew", path)
                self._read = None
        self._config.set_runtime_cache(self._cache)

    def create_context(self, engine: Any) -> Any:
        """Returns an execution context that uses and fills them."""
        return engine.create_execution_context(self._config)

    def save(self) -> None:
        """Writes what is new; the GPU has to be current."""
        if self._path is None:
            return
        data = bytes(self._cache.serialize())
        if data == self._read:
            return
        try:
            write_bytes(self._path, data)
        except OutputError as error:
            logger.warning("kernels compiled for %s are lost: %s", self._path, error)
