"""What an engine is built for: the GPU of this machine, or compute capabilities ahead of time."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..backends.device import Device
from ..backends.tensorrt.cuda import Gpu
from ..backends.tensorrt.engine_record import EngineIdentity, EngineOptions
from ..backends.tensorrt.library import import_tensorrt
from ..backends.tensorrt.products import (
    ANY_GPU,
    FROM_AMPERE,
    TENSORRT,
    Product,
    capability_for,
    runs_on,
)
from ..errors import DwposeError, InvalidArgumentError


@dataclass(frozen=True, slots=True)
class EngineTarget:
    """What builds an engine, and for what.

    Attributes:
        product: The library that builds it.
        version: Version of that.
        options: How it is built; of TensorRT for RTX with the compute capabilities.
        device: The GPU of this machine that can run it; None where there is none.
        gpu_name: Name of the GPU it is built for, or "any GPU".
        compute_capability: Of that GPU, where the library builds for the very GPU.
    """

    product: Product
    version: str
    options: EngineOptions
    device: Device | None
    gpu_name: str = ANY_GPU
    compute_capability: tuple[int, int] | None = None

    @property
    def words(self) -> str:
        """What it is for: "NVIDIA L4", "compute capability 8.0+"."""
        if self.compute_capability is not None:
            return self.gpu_name
        return f"compute capability {', '.join(self.options.capabilities)}"

    def identity(self, source_sha256: str) -> EngineIdentity:
        """Identity of the engine of a model for this target."""
        return EngineIdentity.of(
            source_sha256,
            self.options,
            product=self.product,
            tensorrt_version=self.version,
            gpu_name=self.gpu_name,
            compute_capability=self.compute_capability,
        )


def find_target(product: Product, options: EngineOptions, device: Device | None) -> EngineTarget:
    """Finds out what to build for.

    Args:
        product: The library that builds.
        options: How to build; for TensorRT for RTX perhaps with compute capabilities.
        device: GPU that has to be able to run it. None takes the first one; TensorRT for RTX,
            which needs none to build, does without where there is none that it serves.

    Raises:
        MissingDependencyError: The library or a CUDA package is not installed.
        BackendUnavailableError: The library or the GPU cannot be used.
        InvalidArgumentError: The GPU is not among the compute capabilities, or those are given
            to a library that builds for the very GPU.
    """
    version = str(import_tensorrt(product).__version__)
    if product is TENSORRT:
        if options.capabilities:
            raise InvalidArgumentError(
                "TensorRT builds for the GPU that it runs on; compute capabilities go with "
                "TensorRT for RTX: --provider tensorrt-rtx"
            )
        device = device or Device("cuda")
        with Gpu(device.index) as gpu:
            return EngineTarget(product, version, options, device, gpu.name, gpu.compute_capability)
    found = _capability_of(product, device)
    if found is None:
        wanted = options.capabilities or (FROM_AMPERE,)
        return EngineTarget(product, version, replace(options, capabilities=wanted), None)
    wanted = options.capabilities or (capability_for(found) or FROM_AMPERE,)
    runs = runs_on(wanted, found)
    if device is not None and not runs:
        raise InvalidArgumentError(
            f"an engine for compute capability {', '.join(wanted)} does not run on {device}, whose "
            f"compute capability is {found[0]}.{found[1]}; leave --device away, or add it"
        )
    place = (device or Device("cuda")) if runs else None
    return EngineTarget(product, version, replace(options, capabilities=wanted), place)


def _capability_of(product: Product, device: Device | None) -> tuple[int, int] | None:
    """Compute capability of the GPU asked for, or of the first one where it can be used."""
    try:
        with Gpu(0 if device is None else device.index) as gpu:
            product.require_served(gpu.name, gpu.compute_capability)
            return gpu.compute_capability
    except DwposeError:
        if device is not None:
            raise
        return None
