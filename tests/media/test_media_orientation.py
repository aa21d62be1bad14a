from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("av")
from video_samples import make_clip, set_matrix

from dwpose_infer.media import open_source
from dwpose_infer.media.orientation import Orientation, from_display_matrix, turn_upright

MATRICES = {
    "upright": (1, 0, 0, 1),
    "quarter turn to the right": (0, 1, -1, 0),
    "half turn": (-1, 0, 0, -1),
    "quarter turn to the left": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down, mirrored": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
    "transposed along the other diagonal": (0, -1, -1, 0),
}


@pytest.mark.parametrize("name", MATRICES)
def test_every_pixel_goes_where_the_matrix_says(name, rng):
    """ISO/IEC 14496-12, 8.3.2: (x, y, 1) times the matrix, moved so that all is visible."""
    a, b, c, d = MATRICES[name]
    stored = rng.integers(0, 256, (3, 4, 3), np.uint8)
    data = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], np.int32).tobytes()
    y, x = np.mgrid[:3, :4]
    shown_x, shown_y = a * x + c * y, b * x + d * y
    shown_x, shown_y = shown_x - shown_x.min(), shown_y - shown_y.min()
    expected = np.zeros((shown_y.max() + 1, shown_x.max() + 1, 3), np.uint8)
    expected[shown_y, shown_x] = stored
    np.testing.assert_array_equal(turn_upright(stored, from_display_matrix(data)), expected)


def test_no_matrix_changes_nothing(rng):
    image = rng.integers(0, 256, (3, 4, 3), np.uint8)
    assert turn_upright(image, Orientation()) is image


@pytest.mark.parametrize(
    ("name", "corner"),
    [("quarter turn to the right", "right"), ("quarter turn to the left", "left")],
)
def test_clips_filmed_lying_come_upright(tmp_path, name, corner):
    """The red square stands in the upper left corner of the stored picture, 160x120."""
    clip = set_matrix(make_clip(tmp_path / "lying.mp4"), MATRICES[name])
    with open_source(clip) as source:
        first = next(iter(source))
        assert source.size_wh == (120, 160)
    assert first.image_bgr.shape == (160, 120, 3)
    assert first.image_bgr.flags.c_contiguous
    rows, columns = np.nonzero(first.image_bgr[..., 2] > 128)
    centre_xy = columns.mean(), rows.mean()
    expected = {"right": (120 - 20, 12), "left": (20, 160 - 12)}[corner]
    assert centre_xy == pytest.approx(expected, abs=1)


def test_a_mirrored_clip(tmp_path):
    clip = set_matrix(make_clip(tmp_path / "mirror.mp4"), MATRICES["mirrored"])
    with open_source(clip) as source:
        image = next(iter(source)).image_bgr
    assert np.nonzero(image[20, :, 2] > 128)[0].mean() == pytest.approx(160 - 12, abs=1)
