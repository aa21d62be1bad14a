"""Every tolerance of the tests, in one place.

Zero means bit-equal and is written as `np.testing.assert_array_equal` at the spot.
"""

KEYPOINT_PX = 1e-3
"""Keypoints against the reference implementation, pixels of the picture."""

BATCH_KEYPOINT_PX = 1e-3
"""Keypoints of one person in batches of different sizes, pixels of the picture."""

BATCH_SCORE = 1e-4
"""Scores of one person in batches of different sizes; matrix products may sum in another order."""

AFFINE_PX = 1e-3
"""There and back through a crop, in pixels; the matrices go through float32."""

WARP_MATRIX = 1e-12
"""Affine matrices against the reference implementation."""

OTHER_RUNTIME = 2e-5
"""Raw outputs of a network in fp32 on two runtimes, relative to the largest value, at least 1."""
