"""The published table of the five networks: size, speed and, through the manifest, accuracy.

Source: the tables of RTMPose (github.com/open-mmlab/mmpose, projects/rtmpose, "WholeBody 2d (133
Keypoints)") and of DWPose (github.com/IDEA-Research/DWPose), which agree. Latencies are those of
mmdeploy's profiler: batch 1, 50 warm-up calls, mean of 200 calls of the network alone.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ModelNotFoundError
from ..zoo import PublicAccuracy, get_spec

ORT_MACHINE = "ONNX Runtime, i7-11700"
TRT_MACHINE = "TensorRT FP16, GTX 1660 Ti"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of the published table.

    Attributes:
        name: Name in the manifest, such as "dwpose-l-384".
        size: Letter of the size, one of `dwpose_infer.models.sizes.DWPOSE_SIZES`.
        input_hw: Height and width of the input in pixels.
        gflops: Multiply-accumulates of one crop in 1e9, cut off after two digits, not rounded.
        ort_ms: Latency on `ORT_MACHINE`, or None where not published.
        trt_ms: Latency on `TRT_MACHINE`, or None where not published.
    """

    name: str
    size: str
    input_hw: tuple[int, int]
    gflops: float
    ort_ms: float | None
    trt_ms: float | None

    @property
    def accuracy(self) -> PublicAccuracy | None:
        """Published accuracy, from the manifest."""
        return get_spec(self.name).accuracy


PUBLISHED = (
    PublishedRow("dwpose-t", "t", (256, 192), 0.5, None, None),
    PublishedRow("dwpose-s", "s", (256, 192), 0.9, None, None),
    PublishedRow("dwpose-m", "m", (256, 192), 2.22, 13.50, 4.00),
    PublishedRow("dwpose-l", "l", (256, 192), 4.52, 23.41, 5.67),
    PublishedRow("dwpose-l-384", "l", (384, 288), 10.07, 44.58, 7.68),
)


def find_published(name: str) -> PublishedRow | None:
    """Returns the row of a network, or None where it is not in the table."""
    return next((row for row in PUBLISHED if row.name == name), None)


def published_row(name: str) -> PublishedRow:
    """Returns the row of a network.

    Raises:
        ModelNotFoundError: The network is not in the table.
    """
    row = find_published(name)
    if row is None:
        known = ", ".join(row.name for row in PUBLISHED)
        raise ModelNotFoundError(f"no published network is called {name!r}; there are {known}")
    return row
