from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwpose_infer import geometry
from tolerances import AFFINE_PX, KEYPOINT_PX, WARP_MATRIX

SIZES = [(192, 256), (288, 384)]


def test_box_is_padded_and_widened_to_the_aspect_ratio():
    # 100 x 300 px, padded to 125 x 375; 3:4 asks for a width of 281.25.
    center, scale = geometry.box_to_center_scale([[10, 20, 110, 320]], input_size_wh=(192, 256))
    np.testing.assert_array_equal(center, [[60, 170]])
    np.testing.assert_array_equal(scale, [[281.25, 375]])
    # 300 x 100 px: the height is raised.
    _, scale = geometry.box_to_center_scale([[0, 0, 300, 100]], input_size_wh=(192, 256))
    np.testing.assert_array_equal(scale, [[375, 500]])


def test_no_boxes_give_no_crops():
    center, scale = geometry.box_to_center_scale(np.zeros((0, 4)), input_size_wh=(192, 256))
    crops = geometry.crop_boxes(
        np.zeros((10, 10, 3), np.uint8), center, scale, output_size_wh=(192, 256)
    )
    assert crops.shape == (0, 256, 192, 3)


def test_region_of_the_crop_size_is_copied_pixel_by_pixel(rng):
    image = rng.integers(0, 256, (300, 250, 3), np.uint8)
    center = np.array([[100, 140]], np.float32)
    scale = np.array([[192, 256]], np.float32)
    (crop,) = geometry.crop_boxes(image, center, scale, output_size_wh=(192, 256))
    np.testing.assert_array_equal(crop, image[12 : 12 + 256, 4 : 4 + 192])


def test_outside_of_the_picture_is_black():
    image = np.full((50, 50, 3), 255, np.uint8)
    center, scale = np.array([[0, 0]], np.float32), np.array([[192, 256]], np.float32)
    (crop,) = geometry.crop_boxes(image, center, scale, output_size_wh=(192, 256))
    assert crop[:128, :96].max() == 0
    assert crop[129, 97].min() == 255


@pytest.mark.parametrize(("x", "width"), [(70, 150), (32_000, 500), (39_990, 300)])
def test_pictures_larger_than_opencv_warps_give_the_same_crops(rng, x, width):
    """32,767 pixels are too many for it; the crop is that of the part around the person."""
    image = rng.integers(0, 256, (90, 40_000, 3), np.uint8)
    center = np.array([[x, 45]], np.float32)
    scale = np.array([[width, width * 4 / 3]], np.float32)
    (crop,) = geometry.crop_boxes(image, center, scale, output_size_wh=(192, 256))
    left = max(x - 1000, 0)
    part = np.ascontiguousarray(image[:, left : left + 2000])
    (expected,) = geometry.crop_boxes(
        part, center - np.array([left, 0], np.float32), scale, output_size_wh=(192, 256)
    )
    assert expected.max() > 0
    np.testing.assert_allclose(crop.astype(int), expected.astype(int), atol=1)
    turned = np.ascontiguousarray(image.transpose(1, 0, 2))
    (crop,) = geometry.crop_boxes(turned, center[:, ::-1], scale, output_size_wh=(192, 256))
    assert crop.max() > 0


def test_a_region_larger_than_opencv_warps(rng):
    image = np.zeros((64, 70_000, 3), np.uint8)
    image[:, 35_000:] = 200
    center, scale = geometry.box_to_center_scale([[0, 0, 70_000, 64]], input_size_wh=(192, 256))
    (crop,) = geometry.crop_boxes(image, center, scale, output_size_wh=(192, 256))
    (row,) = np.unique(np.nonzero(crop.any(axis=(1, 2)))[0])  # 64 of 116,667 pixels
    assert row == 128
    assert crop[row, :94].max() == 0 and crop[row, 98:170].min() > 0


@settings(deadline=None, max_examples=50)
@given(
    st.floats(-500, 1500),
    st.floats(-500, 1500),
    st.floats(4, 2000),
    st.floats(4, 2000),
    st.sampled_from(SIZES),
)
def test_there_and_back(left, top, width, height, size):
    box = [[left, top, left + width, top + height]]
    center, scale = geometry.box_to_center_scale(box, input_size_wh=size)
    matrix = geometry.warp_matrix(center[0], scale[0], output_size_wh=size)
    in_crop = np.array([[[0, 0], [size[0], size[1]], [17, 93]]], np.float32)
    mapped = geometry.crop_to_picture(in_crop, center, scale, input_size_wh=size)
    back = mapped[0].astype(np.float64) @ matrix[:, :2].T + matrix[:, 2]
    # One part in 1e5 of the region: float32 coordinates around 1e3 and a magnified crop.
    magnified = max(1.0, size[0] / scale[0, 0]) * max(1.0, np.abs(center).max() / 100)
    np.testing.assert_allclose(back, in_crop[0], atol=AFFINE_PX * magnified)


@pytest.mark.parametrize("size", SIZES)
def test_equal_to_the_reference(reference, size):
    picture = np.load(reference / "prepost/img0.npz")
    golden = np.load(reference / f"prepost/img0_{size[1]}x{size[0]}.npz")
    center, scale = geometry.box_to_center_scale(picture["boxes"], input_size_wh=size)
    np.testing.assert_array_equal(center, golden["center"])
    np.testing.assert_array_equal(scale, golden["scale"])
    crops = geometry.crop_boxes(picture["image_bgr"], center, scale, output_size_wh=size)
    np.testing.assert_array_equal(crops, golden["cv4_crop"])


@pytest.mark.parametrize("size", SIZES)
def test_keypoints_come_back_as_in_the_reference(reference, size):
    from dwpose_infer.simcc import decode_simcc

    golden = np.load(reference / f"prepost/img0_{size[1]}x{size[0]}.npz")
    keypoints, scores = decode_simcc(golden["simcc_x"], golden["simcc_y"])
    count = len(keypoints)
    mapped = geometry.crop_to_picture(
        keypoints, golden["center"][:count], golden["scale"][:count], input_size_wh=size
    )
    np.testing.assert_allclose(mapped, golden["mm_kpts"][:count], atol=KEYPOINT_PX)
    np.testing.assert_allclose(mapped, golden["onnx_kpts"][:count], atol=KEYPOINT_PX)
    np.testing.assert_array_equal(scores, golden["mm_scores"][:count])


def test_rotated_matrices_equal_the_reference(reference):
    golden = np.load(reference / "extra/warp.npz")
    for index, expected in enumerate(golden["warp"]):
        width, height = golden["size"][index]
        matrix = geometry.warp_matrix(
            golden["center"][index],
            golden["scale"][index],
            output_size_wh=(int(width), int(height)),
            rotation_deg=float(golden["rot"][index]),
        )
        np.testing.assert_allclose(matrix, expected, atol=WARP_MATRIX, rtol=0)
