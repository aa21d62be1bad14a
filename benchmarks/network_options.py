"""The options that choose networks, threads and pictures, for all benchmarks alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidArgumentError
from .benchmark import Settings, option

RTMLIB_NOTE = """\
For rtmlib among the baselines: pip install --no-deps rtmlib==0.0.16 (with its dependencies it
would replace cv2)."""


@dataclass(frozen=True, kw_only=True)
class DeviceSettings(Settings):
    """Where ONNX Runtime's networks run."""

    device: str | None = option(
        "--device",
        metavar="cpu|cuda[:N]",
        help="where the networks of ONNX Runtime run, ours and those beside it (default: cpu)",
    )

    def place(self) -> str:
        """Returns the device, once it is known that ONNX Runtime can use it.

        Raises:
            BackendUnavailableError: It cannot be used on this machine.
            InvalidArgumentError: There is no such device.
        """
        from ..backends import check_backend, load_backend
        from ..zoo import DEFAULT_DETECTOR, resolve_model

        place = check_backend("ort", self.device)
        if place.kind != "cpu":
            load_backend("ort", resolve_model(DEFAULT_DETECTOR), device=str(place)).close()
        return str(place)


def on_device(device: str) -> str:
    """Words for a report: where the networks ran, or nothing where that was the CPU."""
    return "" if device == "cpu" else f" on {device}"


@dataclass(frozen=True, kw_only=True)
class NetworkSettings(Settings):
    """Which two networks run, and how."""

    pose: str | None = option(
        "--pose",
        beside="pose",
        metavar="NAME|PATH",
        help="pose model of `dwpose-models list`, or ONNX file (default: the bundled one)",
    )
    random_weights: str | None = option(
        "--random-weights",
        beside="pose",
        metavar="NAME",
        help="a published pose network with random weights, such as dwpose-l-384; needs torch",
    )
    det: str | None = option(
        "--det", metavar="NAME|PATH", help="detector, likewise (default: the bundled one)"
    )
    threads: int | None = option(
        "--threads",
        type=int,
        metavar="N",
        help="threads inside one operator of ONNX Runtime (default: one for each physical core)",
    )

    def thread_count(self) -> int:
        """Returns the number of threads asked for, or one for each physical core.

        Raises:
            InvalidArgumentError: It is below 1.
        """
        from .machine import physical_cores

        if self.threads is None:
            return physical_cores()
        at_least_one(threads=self.threads)
        return self.threads

    def models(self, folder: Path) -> tuple[str | Path, str | Path]:
        """Returns pose model and detector as asked for, or the bundled ones.

        Args:
            folder: Where a network with random weights is written, if one is asked for.
        """
        from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE

        detector = self.det or DEFAULT_DETECTOR
        if self.random_weights is None:
            return self.pose or DEFAULT_POSE, detector
        from .peers.networks import random_pose

        return random_pose(self.random_weights, folder)[0], detector

    def pose_label(self, pose: str | Path) -> str:
        """Returns the name of the pose model, which says so where its weights are random."""
        if self.random_weights is None:
            return model_name(pose)
        return f"{self.random_weights} (random weights)"


@dataclass(frozen=True, kw_only=True)
class ComparisonSettings(NetworkSettings, DeviceSettings):
    """How persons are found, by this package and the baselines alike."""

    score_threshold: float | None = option(
        "--score-threshold",
        type=float,
        metavar="S",
        help="persons score above this, for all alike (default: the detector's own)",
    )

    def threshold(self, detector: str | Path) -> float:
        """Returns the threshold asked for, or the detector's own.

        Raises:
            InvalidArgumentError: It is not between 0 and 1.
        """
        from .. import zoo
        from ..detector import DetectorOptions

        chosen = self.score_threshold
        if chosen is None:
            spec = zoo.find_spec(detector)
            chosen = spec.score_threshold if spec is not None else None
        if chosen is None:
            return DetectorOptions().score_threshold
        return DetectorOptions(score_threshold=chosen).score_threshold


def at_least_one(**values: int) -> None:
    """Checks the values of options, which are named as the options are.

    Raises:
        InvalidArgumentError: One of them is below 1.
    """
    for name, value in values.items():
        if value < 1:
            raise InvalidArgumentError(f"--{name.replace('_', '-')} is {value}, must be at least 1")


def model_name(model: str | Path) -> str:
    """Returns the name of a model, or that of its file without the folders it is in."""
    return Path(model).name
