from __future__ import annotations

import cv2
import numpy as np
import pytest

from dwpose_infer.errors import InputError
from dwpose_infer.images import read_image
from dwpose_infer.models.training.data import open_pictures, read_persons


def test_pictures_are_those_of_the_rest_of_the_package(photos, document, save_set, source):
    """JPEG photographs decode to the same bytes as for prediction."""
    root = save_set(document)
    for image, photo in zip(document["images"], photos, strict=True):
        pixels = read_image(photo)
        image["height"], image["width"] = pixels.shape[:2]
        image["file_name"] = f"{image['id']}.jpg"
    root = save_set(document)
    for image, photo in zip(document["images"], photos, strict=True):
        (root / "images" / image["file_name"]).write_bytes(photo.read_bytes())
    pictures = open_pictures(read_persons([source], root=root))
    assert len(pictures) == 3
    for index, photo in enumerate(photos):
        np.testing.assert_array_equal(pictures[index], read_image(photo))


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_the_cache_holds_what_fits_and_changes_nothing(persons, kept):
    plain = open_pictures(persons)
    sizes = [90 * 120 * 3, 120 * 90 * 3, 100 * 100 * 3]
    pictures = open_pictures(persons, cache_bytes=sum(sizes[:kept]))
    assert pictures.cached == kept
    assert len(pictures.cached_bytes) == sum(sizes[:kept])
    for index in range(3):
        np.testing.assert_array_equal(pictures[index], plain[index])


def test_one_byte_less_keeps_one_picture_less(persons):
    assert open_pictures(persons, cache_bytes=2 * 90 * 120 * 3 - 1).cached == 1


def test_cached_pixels_cannot_be_written(persons):
    pictures = open_pictures(persons, cache_bytes=10**6)
    with pytest.raises(ValueError, match="read-only"):
        pictures[0][0, 0] = 0


@pytest.mark.parametrize("cache_bytes", [0, 10**6])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "20.png is damaged"),
        (b"no picture", "20.png is damaged"),
        (None, "20.png cannot be read"),
        ("smaller", r"20.png has 50x40 pixels, its labels are for 120x90"),
    ],
)
def test_unusable_pictures_are_named(persons, cache_bytes, content, message):
    path = persons.path(1)
    if content is None:
        path.unlink()
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        cv2.imwrite(str(path), np.zeros((40, 50, 3), np.uint8))
    with pytest.raises(InputError, match=message) as error:
        open_pictures(persons, cache_bytes=cache_bytes)[1]
    assert "labels.json: annotation 103" in str(error.value)
