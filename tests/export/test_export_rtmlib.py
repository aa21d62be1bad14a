"""Another program runs the files in official form and finds the same."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

rtmlib = pytest.importorskip("rtmlib")

from dwpose_infer import Predictor
from dwpose_infer.images import read_image

TOLERANCE_PX = 0.5


def test_rtmlib_gives_the_same_keypoints(pose_source, detector_source, tmp_path, astronaut):
    paths = {}
    for source in (pose_source, detector_source):
        paths[source.kind] = str(tmp_path / f"{source.kind}.onnx")
        onnx.save(source.model, paths[source.kind])
    detector = rtmlib.YOLOX(
        paths["detector"], model_input_size=detector_source.input_size_wh, score_thr=0.5
    )
    pose = rtmlib.RTMPose(paths["pose"], model_input_size=pose_source.input_size_wh)
    image_bgr = read_image(astronaut)
    boxes = np.asarray(detector(image_bgr)).reshape(-1, 4)
    image_rgb = np.ascontiguousarray(image_bgr[..., ::-1])  # rtmlib feeds what it is given
    keypoints, _ = pose(image_rgb, bboxes=boxes)
    with Predictor(
        pose=paths["pose"], detector=paths["detector"], score_threshold=0.5
    ) as predictor:
        result = predictor(astronaut)
    np.testing.assert_allclose(result.boxes_xyxy, boxes, atol=TOLERANCE_PX)
    # rtmlib's score is another one, so points without a positive maximum are placed apart.
    sure = result.scores > 0.3
    assert sure.any()
    distance = np.linalg.norm(result.keypoints - keypoints, axis=-1)[sure]
    assert distance.max() <= TOLERANCE_PX
