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

TRAINING_LOSS = 1e-6
"""Losses in float32 against the reference implementation, relative."""

LOSS_GRADIENT_NORM = 1e-5
"""Lengths of gradients by a network's outputs against the reference implementation, relative."""

SCHEDULE = 1e-12
"""Learning rates against the reference implementation, which multiplies from step to step."""

MOVING_AVERAGE = 2.5e-7
"""Averaged weights of order 1 against the reference implementation."""

NORMALISED = 1e-6
"""Normalised colours in float32 against float64: values reach 2.7, two roundings."""

AP = 1e-6
"""Average precision and recall against mmpose's evaluation."""

TWO_PROCESSES = 1e-3
"""Losses after a few steps, and the way the weights went, of two training processes against one;
relative. They sum up in another order, which AdamW amplifies where gradients are next to 0."""

RESIZED = 1e-5
"""Tokens of constant maps of two sizes: the same sums in float32, over four times the numbers."""
