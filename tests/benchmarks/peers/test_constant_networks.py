from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.benchmarks.peers import constant_networks as networks
from dwpose_infer.benchmarks.pipeline.overhead import MAX_PERSONS
from dwpose_infer.detector import decode_yolox
from dwpose_infer.nms import nms


@pytest.mark.parametrize("persons", [1, 2, 7, 30, MAX_PERSONS])
def test_made_detections_hold_exactly_the_persons(persons):
    (rows,) = networks.detector_output(persons)
    found = []
    for threshold in (0.1, 0.3, 0.7):  # the official recipe's, ours, rtmlib's
        boxes, scores = decode_yolox(
            rows, input_size_wh=networks.DETECTOR_WH, score_threshold=threshold
        )
        assert len(boxes) > persons  # there is something to suppress
        found.append(boxes[nms(boxes, scores, iou_threshold=0.45)])
        assert found[-1].shape == (persons, 4)
        np.testing.assert_array_equal(found[-1], found[0])


def test_the_made_data_are_the_same_every_time():
    for make in (
        networks.synthetic_picture,
        lambda: networks.detector_output(3),
        lambda: networks.pose_outputs()["simcc_x"],
    ):
        np.testing.assert_array_equal(make(), make())
