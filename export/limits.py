"""How far an exported network may be from its source, for each precision: one table."""

from __future__ import annotations

from dataclasses import dataclass

from .metadata import Precision

MIN_SCORE = 0.2
"""Points whose source scores less are not compared: mmpose's evaluation leaves them out of a
person's score, too (`keypoint_score_thr`). Networks that know what they do not see, as the bundled
one, score below 0.3 on a good part of the points that they hit."""

MAX_SECOND_PEAK = 0.9
"""Points whose source has a second peak above this share of the first, on either axis, are not
compared: the network itself cannot decide between two places."""

PEAK_RADIUS_BINS = 2
"""Bins on either side of the peak that belong to it."""

MIN_SHARE = 0.2
"""Share of all points that must be comparable for a verdict in pixels."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest differences accepted.

    Attributes:
        raw: Largest difference of a raw output, relative to max(1, largest |source|).
        raw_rms: Root mean square of the differences, relative to that of the source around
            its mean; for networks whose outputs are small, where `raw` says little.
        median_px: Median distance of compared points, pixels of the crop.
        p99_px: 99th percentile of the distances, all parts together.
        body_p99_px: The same for body points only.
        worst_px: Largest distance.
        score: 99th percentile of the differences of compared points' scores.
        box_px: Largest shift of a side of a matched box, share of the longer input side.
        box_score: Largest difference of a matched box's score.
    """

    raw: float
    raw_rms: float
    median_px: float
    p99_px: float
    body_p99_px: float
    worst_px: float
    score: float
    box_px: float
    box_score: float


# One bin is half a pixel, so 0.51 lets a point move by one bin. The raw outputs bind always in
# fp32; in the other precisions they bind only where points or boxes cannot decide.
LIMITS: dict[Precision, Limits] = {
    "fp32": Limits(
        raw=2e-5, raw_rms=1e-4,
        median_px=0.0, p99_px=0.01, body_p99_px=0.01, worst_px=0.51, score=1e-4,
        box_px=1e-4, box_score=1e-4,
    ),
    "fp16-stored": Limits(
        raw=0.05, raw_rms=0.02,
        median_px=0.01, p99_px=1.0, body_p99_px=1.0, worst_px=4.0, score=0.01,
        box_px=0.005, box_score=0.02,
    ),
    "fp16": Limits(
        raw=0.05, raw_rms=0.03,
        median_px=0.01, p99_px=1.0, body_p99_px=1.0, worst_px=4.0, score=0.02,
        box_px=0.005, box_score=0.02,
    ),
    "int8": Limits(
        raw=0.5, raw_rms=0.3,
        median_px=0.51, p99_px=4.0, body_p99_px=1.0, worst_px=16.0, score=0.15,
        box_px=0.03, box_score=0.15,
    ),
}  # fmt: skip

# Kernels of a GPU sum in another order than those of a CPU, and some take shortcuts with larger
# errors (Winograd). So in fp32 a flat peak may move by a bin, and scores in the fourth digit; the
# others have the limits of the same graph on a CPU. Seen on an H200, ONNX Runtime's CUDA: fp32 no
# point moved, scores by 1.7e-6, boxes by 2e-4 px; fp16 points by .5 px at most in the bundled t on
# the crops of people, 1.5 px on others. Engines have yet to be run. The raw outputs of a deploy
# graph cannot be seen: `raw` is that of the scores, where points or boxes cannot decide.
DEVICE_LIMITS: dict[Precision, Limits] = LIMITS | {
    "fp32": Limits(
        raw=1e-3, raw_rms=1e-3,
        median_px=0.0, p99_px=0.51, body_p99_px=0.51, worst_px=1.01, score=1e-3,
        box_px=5e-4, box_score=1e-3,
    ),
}  # fmt: skip
"""Limits where a network will serve, on a GPU."""
