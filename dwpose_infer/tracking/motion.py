"""How far persons moved as a whole between two frames, and how fast they move.

The time of each frame is given or counted.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from ..arrays import Float64Array, FloatArray
from ..errors import InvalidArgumentError
from ..keypoints import KEYPOINT_INDEX

_TRUNK: Final = [
    KEYPOINT_INDEX[name]
    for name in ("nose", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
]
_LEAST_WEIGHT: Final = 1e-3
# Arms and legs swing against the walk, hands and feet most of all: they count where nothing of
# the trunk is known, and next to nothing elsewhere.


def common_steps(
    before: FloatArray,
    after: FloatArray,
    *,
    before_weights: FloatArray,
    after_weights: FloatArray,
) -> Float64Array:
    """Returns how far each person's trunk moved between two frames.

    Args:
        before: (P, K, 2), x then y, pixels; the body's 17 points come first.
        after: (P, K, 2), the same persons later.
        before_weights: (P, K), at least 0; 0 where a point is absent, whose coordinates may
            then be anything, also NaN.
        after_weights: (P, K).

    Returns:
        (P, 2) float64 pixels, the weighted mean over the points known in both frames; NaN where
        there is none.
    """
    factors = np.full(before.shape[1], _LEAST_WEIGHT)
    factors[_TRUNK] = 1.0
    weights = np.sqrt(before_weights * after_weights) * factors
    steps = np.where((weights > 0)[..., None], after - before, 0.0)
    total = weights.sum(axis=1)[:, None]
    common = np.full((len(steps), 2), np.nan)
    np.divide((steps * weights[..., None]).sum(axis=1), total, out=common, where=total > 0)
    return common


def low_pass_share(cutoff_hz: FloatArray | float, step_s: FloatArray | float) -> Float64Array:
    """Returns the weight of a new value in a first-order low-pass filter.

    The exponential smoothing of the one-euro filter: Casiez, Roussel, Vogel, "1 Euro Filter",
    CHI 2012, equations 4 and 5, 1 / (1 + tau / T_e) with tau = 1 / (2 pi f_c).

    Args:
        cutoff_hz: Cut-off frequencies, above 0.
        step_s: Seconds since the last value; 0 gives 0, which keeps the last one.
    """
    turned = 2 * np.pi * np.asarray(cutoff_hz, np.float64) * step_s
    share: Float64Array = turned / (turned + 1)
    return share


class FrameClock:
    """Gives every frame a time that never runs backwards.

    Attributes:
        now_s: Time of the last frame in seconds; None before the first.
    """

    def __init__(self, frame_rate: float) -> None:
        """Starts before the first frame.

        Args:
            frame_rate: Frames per second where no times are given.
        """
        self._frame_rate = frame_rate
        self.now_s: float | None = None

    def advance(self, time_s: float | None) -> float:
        """Takes the time of the next frame and returns it in seconds.

        Args:
            time_s: Time stamp; None counts on at the frame rate.

        Raises:
            InvalidArgumentError: It is not a number, or before the last frame's.
        """
        if time_s is None:
            self.now_s = 0.0 if self.now_s is None else self.now_s + 1 / self._frame_rate
            return self.now_s
        if not math.isfinite(time_s):
            raise InvalidArgumentError(f"time_s is {time_s}, must be a number of seconds")
        if self.now_s is not None and time_s < self.now_s:
            raise InvalidArgumentError(
                f"time_s is {time_s}, before the last frame's {self.now_s}; give frames in their "
                "order in time, and call reset() before another video"
            )
        self.now_s = float(time_s)
        return self.now_s
