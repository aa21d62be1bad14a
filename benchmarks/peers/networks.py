"""The networks of the benchmark, as ONNX files in official form: those that every program reads."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ...errors import InvalidArgumentError, needs_extra
from ...zoo import ModelKind
from ..peers.baselines import NetworkFiles


def official_files(
    folder: Path, *, pose: str | PathLike[str], detector: str | PathLike[str]
) -> NetworkFiles:
    """Writes both networks in official form.

    Args:
        folder: Where to write them.
        pose: Name of a pose model, ONNX file in either form, or checkpoint.
        detector: The same of a detector.

    Raises:
        MissingDependencyError: The package onnx is not installed.
        ModelNotFoundError: There is no such model or file.
        ModelFormatError: A file is not a network.
        InvalidArgumentError: A file is a network of the other kind.
    """
    detector_path, detector_wh = _official(detector, "detector", folder / "detector.official.onnx")
    pose_path, crop_wh = _official(pose, "pose", folder / "pose.official.onnx")
    return NetworkFiles(detector_path, pose_path, detector_wh, crop_wh)


def _official(
    source: str | PathLike[str], kind: ModelKind, path: Path
) -> tuple[Path, tuple[int, int]]:
    with needs_extra("this benchmark makes ONNX files", "bench"):
        import onnx

        from ...export.sources import load_source
    loaded = load_source(source)
    if loaded.kind != kind:
        raise InvalidArgumentError(f"{source} is a {loaded.kind} model, here goes a {kind} model")
    onnx.save(loaded.model, path)
    return path, loaded.input_size_wh


def random_pose(name: str, folder: Path) -> tuple[Path, tuple[int, int]]:
    """Writes a published pose network with random weights, in official form.

    Args:
        name: Its name, such as "dwpose-l-384".
        folder: Folder for the ONNX file.

    Returns:
        The file, and (width, height) of the input in pixels.

    Raises:
        MissingDependencyError: torch is not installed.
        ModelNotFoundError: No published network has this name.
    """
    from ..latency.networks import random_networks

    (network,) = random_networks([name], folder, progress=False)
    return network.path, (network.input_hw[1], network.input_hw[0])
