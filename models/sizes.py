"""The sizes of the networks, by name; nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass

# size -> (deepen, widen): the configurations of RTMPose in mmpose
DWPOSE_SIZES: dict[str, tuple[float, float]] = {
    "t": (0.167, 0.375),
    "s": (0.33, 0.5),
    "m": (0.67, 0.75),
    "l": (1.0, 1.0),
    "x": (1.33, 1.25),
}

STUDENT_SIZES = tuple(size for size in DWPOSE_SIZES if size != "x")
"""Those that DWPose distills; x teaches."""


@dataclass(frozen=True)
class YOLOXScale:
    """Depth and width of one size.

    Attributes:
        depth: Factor on the number of bottlenecks.
        width: Factor on the number of channels.
        depthwise: Whether the 3x3 convolutions are depthwise separable.
    """

    depth: float
    width: float
    depthwise: bool = False


YOLOX_SIZES: dict[str, YOLOXScale] = {
    "nano": YOLOXScale(0.33, 0.25, depthwise=True),
    "tiny": YOLOXScale(0.33, 0.375),
    "s": YOLOXScale(0.33, 0.5),
    "m": YOLOXScale(0.67, 0.75),
    "l": YOLOXScale(1.0, 1.0),
    "x": YOLOXScale(1.33, 1.25),
}
