"""The networks of the benchmark: ONNX files in official form, which every program reads."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ...backends.device import parse_device
from ...errors import InvalidArgumentError, needs_extra
from ...zoo import ModelKind

if TYPE_CHECKING:
    from ...backends.onnxruntime import OrtBackend
    from ...predictor import Predictor


@dataclass(frozen=True, slots=True)
class NetworkFiles:
    """The two networks, ONNX files in official form, that every method runs.

    Attributes:
        detector: YOLOX, (N, 3, H, W) -> (N, A, 5 + classes).
        pose: DWPose, (N, 3, H, W) -> `simcc_x` and `simcc_y`.
        detector_wh: (width, height) of the detector's input in pixels.
        crop_wh: (width, height) of the pose network's input in pixels.
    """

    detector: Path
    pose: Path
    detector_wh: tuple[int, int]
    crop_wh: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sessions:
    """A loaded `onnxruntime.InferenceSession` for each of the networks."""

    detector: Any
    pose: Any


def open_sessions(files: NetworkFiles, *, threads: int, device: str = "cpu") -> Sessions:
    """Loads both networks with no option but the threads, as most programs do.

    On a GPU one more: float32 is not rounded to TF32, or the methods would not find the same.
    """
    import onnxruntime

    place = parse_device(device)
    providers: list[Any] = ["CPUExecutionProvider"]
    if place.kind == "cuda":
        options = {"device_id": place.index, "use_tf32": 0}
        providers.insert(0, ("CUDAExecutionProvider", options))

    def load(path: Path) -> Any:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3
        settings.intra_op_num_threads = threads
        return onnxruntime.InferenceSession(str(path), sess_options=settings, providers=providers)

    return Sessions(load(files.detector), load(files.pose))


def sessions_of(predictor: Predictor) -> Sessions:
    """Returns the sessions in which a predictor with a detector runs its networks."""
    if predictor.detector is None:
        raise TypeError("this predictor has no detector")
    backends = predictor.detector.backend, predictor.estimator.backend
    return Sessions(*(cast("OrtBackend", backend).session for backend in backends))


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
