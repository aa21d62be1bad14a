"""NVIDIA's two libraries that build and run engines: TensorRT, and TensorRT for RTX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from ...errors import BackendUnavailableError
from .cuda_bindings import is_installed

ProductKey = Literal["tensorrt", "tensorrt-rtx"]

SERVED: Final = "7.5, 8.0, 8.6, 8.9 and 12.0 or later"
"""Compute capabilities of the GPUs that TensorRT for RTX serves: what its 1.7 names in its errors,
and Turing, for which an engine has to be built on purpose."""

FROM_AMPERE: Final = "8.0+"
"""What an engine of TensorRT for RTX runs on unless it is built for less: all that are served but
7.5."""

CAPABILITIES: Final = (FROM_AMPERE, "7.5", "8.0", "8.6", "8.9", "12.0", "12.1")
"""What an engine of TensorRT for RTX can be built for."""

ANY_GPU: Final = "any GPU"
"""Stands for the name of the GPU where an engine depends on the compute capability alone."""


@dataclass(frozen=True, slots=True)
class Product:
    """One of NVIDIA's two libraries that build and run engines.

    Attributes:
        key: Name by which options and records know it.
        name: Its name in words.
        module: Its Python module.
        oldest: The oldest version (major, minor) that will do.
        why_not_older: What older ones lack.
        extra: Extra of this package that installs it.
    """

    key: ProductKey
    name: str
    module: str
    oldest: tuple[int, int]
    why_not_older: str
    extra: str

    def require_served(self, gpu_name: str, compute_capability: tuple[int, int]) -> None:
        """Finds out what only the GPU's generation decides.

        Raises:
            BackendUnavailableError: The library does not serve such GPUs.
        """
        if self.key == "tensorrt-rtx" and capability_for(compute_capability) is None:
            raise BackendUnavailableError(
                f"{self.name} does not serve {gpu_name}, compute capability "
                f"{compute_capability[0]}.{compute_capability[1]}: it serves {SERVED}. Remedy: "
                f'TensorRT (pip install "dwpose-infer[trt]", --provider tensorrt), or ONNX Runtime '
                "(--backend ort --device cuda)"
            )


TENSORRT: Final = Product(
    key="tensorrt",
    name="TensorRT",
    module="tensorrt",
    # The first with strongly typed networks and with the calls (tensors bound by name,
    # `execute_async_v3`) that TensorRT 11 still has. 8.6 has neither in this form.
    oldest=(10, 0),
    why_not_older="older ones have no strongly typed networks",
    extra="trt",
)

TENSORRT_RTX: Final = Product(
    key="tensorrt-rtx",
    name="TensorRT for RTX",
    module="tensorrt_rtx",
    oldest=(1, 7),
    why_not_older="older ones were never tried",
    extra="trt-rtx",
)

PRODUCTS: Final[dict[str, Product]] = {each.key: each for each in (TENSORRT, TENSORRT_RTX)}


def choose_product(wanted: str | None = None) -> Product:
    """Returns the library to use: the one wanted, else the one installed, else TensorRT.

    Where both are installed it is TensorRT, which tunes an engine on the very GPU.

    Args:
        wanted: Key of one of `PRODUCTS`, or None.
    """
    if wanted is not None:
        return PRODUCTS[wanted]
    installed = [product for product in PRODUCTS.values() if is_installed(product.module)]
    return installed[0] if installed else TENSORRT


def capability_for(compute_capability: tuple[int, int]) -> str | None:
    """Returns which of `CAPABILITIES` an engine for a GPU is built for; None where none serves it.

    Args:
        compute_capability: (major, minor) of the GPU.
    """
    if compute_capability == (7, 5):
        return "7.5"
    served = compute_capability in ((8, 0), (8, 6), (8, 9)) or compute_capability >= (12, 0)
    return FROM_AMPERE if served else None


def runs_on(capabilities: Sequence[str], compute_capability: tuple[int, int]) -> bool:
    """Whether an engine built for some of `CAPABILITIES` runs on a GPU of TensorRT for RTX."""
    own = "{}.{}".format(*compute_capability)
    later = FROM_AMPERE in capabilities and capability_for(compute_capability) == FROM_AMPERE
    return own in capabilities or later
