from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer import Predictor
from dwpose_infer.benchmarks.peers import montage as made
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.images import read_image


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 1])
def test_the_bundled_detector_finds_exactly_the_persons_shown(first, tmp_path):
    counts = range(1, made.MAX_PERSONS + 1)
    with Predictor(threads=1) as predictor:
        for count in counts:
            encoded = made.montage_jpeg(count, first=first)
            (found,) = predictor.detector([read_image(encoded)])
            assert len(found) == count


def test_persons_stand_apart_and_are_as_large_as_fits():
    for persons in range(1, made.MAX_PERSONS + 1):
        picture = made.montage(persons)
        assert picture.shape == (720, 1280, 3)
        grey = (picture == made.PAD_VALUE).all(axis=2)
        assert grey[0].all() and grey[:, 0].all()  # nothing is cut off at the edges
        assert 0.35 < 1 - grey.mean() < 0.85 or persons == 1


def test_pictures_are_the_same_every_time_and_differ_by_their_first_crop(tmp_path):
    assert made.montage_jpeg(2) == made.montage_jpeg(2)
    assert made.montage_jpeg(2) != made.montage_jpeg(2, first=1)
    np.testing.assert_array_equal(made.montage(3, first=0), made.montage(3, first=2))
    paths = made.write_montages(tmp_path, [1, 2])
    assert [path.name for path in paths] == ["000_1_persons.jpg", "001_2_persons.jpg"]
    assert paths[1].read_bytes() == made.montage_jpeg(2, first=1)


@pytest.mark.parametrize("persons", [0, made.MAX_PERSONS + 1])
def test_out_of_range(persons):
    with pytest.raises(InvalidArgumentError, match="shows 1 to 10 persons"):
        made.montage(persons)
