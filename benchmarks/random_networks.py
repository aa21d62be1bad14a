"""The five networks with random weights, for where the official ones are not at hand.

How long a network takes and how much it computes does not depend on what it has learnt, as long
as its numbers stay in the usual range.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..arrays import Float32Array
from ..errors import needs_extra
from .published import PublishedRow

if TYPE_CHECKING:
    from ..export.from_checkpoint import TorchNetwork

_NEEDS_ONNX = "exporting the networks needs onnx"


def random_network(row: PublishedRow, *, seed: int = 0) -> TorchNetwork:
    """Returns a network with random weights whose activations are in the usual range.

    The statistics of batch normalisation are those of the package's own crops of people. Left as
    they are drawn, every convolution shrinks its input, down to 1e-14 in the largest network; a
    little smaller, and the processor would handle the numbers many times more slowly. Taken from
    noise, they let pictures reach 234,246 in dwpose-l, beyond half precision.

    Args:
        row: The network.
        seed: The same seed gives the same weights.

    Raises:
        MissingDependencyError: torch or the package `onnx` is not installed.
    """
    torch = import_torch()
    crops = torch.from_numpy(_crops(row.input_hw))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build_network(row)
        _settle_batch_statistics(torch, module, crops)
    return as_exportable(row, module)


def _crops(input_hw: tuple[int, int]) -> Float32Array:
    """The package's crops as the networks get them, (N, 3, H, W)."""
    with needs_extra(_NEEDS_ONNX, "bench"):
        from ..export.pictures import official_input, shipped_samples
    return official_input("pose", shipped_samples("pose", (input_hw[1], input_hw[0])))


def build_network(row: PublishedRow) -> Any:
    """Returns a network as a torch module in evaluation mode, its weights as torch draws them.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    import_torch()
    from ..models.dwpose import DWPose, DWPoseArchitecture

    return DWPose(DWPoseArchitecture(row.size, *row.input_hw)).eval()


def as_exportable(row: PublishedRow, module: Any) -> TorchNetwork:
    """Returns what the exporter takes.

    Raises:
        MissingDependencyError: The package `onnx` is not installed.
    """
    with needs_extra(_NEEDS_ONNX, "bench"):
        from ..export.from_checkpoint import TorchNetwork
    height, width = row.input_hw
    points: int = module.architecture.keypoints
    sides = {"simcc_x": 2 * width, "simcc_y": 2 * height}
    shapes: dict[str, tuple[int, ...]] = {name: (points, side) for name, side in sides.items()}
    return TorchNetwork(module, "pose", row.name, (width, height), shapes)


def sides(input_shape: Sequence[int]) -> str:
    """Returns height x width of an input (N, 3, H, W) or (N, H, W, 3), else all its sizes."""
    sizes = list(input_shape[1:])
    if len(sizes) == 3 and 3 in (sizes[0], sizes[2]):
        sizes = sizes[1:] if sizes[0] == 3 else sizes[:2]
    return "x".join(map(str, sizes))


def import_torch() -> Any:
    """Returns the module torch.

    Raises:
        MissingDependencyError: It is not installed.
    """
    with needs_extra("building the networks needs torch", "bench,export"):
        return importlib.import_module("torch")


def _settle_batch_statistics(torch: Any, module: Any, crops: Any) -> None:
    normalisations = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    momenta = [part.momentum for part in normalisations]
    for part in normalisations:
        part.momentum = 1.0  # the running statistics become those of this batch
    with torch.no_grad():
        module.train()(crops)
    module.eval()
    for part, momentum in zip(normalisations, momenta, strict=True):
        part.momentum = momentum
