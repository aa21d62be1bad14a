"""supervision: its key points and their bones drawn, and the boxes of the data set."""

import numpy as np
import supervision

from dwpose_infer.formats import load
from dwpose_infer.formats.interchange import SUPERVISION_EDGES
from expected import FOLDER, Comparison, require

comparison = Comparison("wholebody")
for frame, result in enumerate(load(FOLDER / "clip.npz")):
    key_points = result.to_supervision(min_score=0.3)
    require(key_points.data["tracker_id"].tolist() == comparison.ids, "other identities")
    for person in range(len(key_points)):
        for index, name in enumerate(comparison.names):
            values = [*key_points.xy[person, index], key_points.keypoint_confidence[person, index]]
            comparison.require(frame, person, name, values)
            hidden = name in comparison.document["unsure"] or name == comparison.document["absent"]
            require(bool(key_points.visible[person, index]) != hidden, f"{name} is visible")
    annotator = supervision.EdgeAnnotator(edges=SUPERVISION_EDGES, thickness=1)
    drawn = annotator.annotate(np.zeros((480, 640, 3), np.uint8), key_points)
    sure = {
        (comparison.names[first - 1], comparison.names[second - 1])
        for first, second in SUPERVISION_EDGES
    }
    for first, second in sure:
        ends = [comparison.point(frame, 0, name) for name in (first, second)]
        if all(end is not None and end[2] >= 0.3 for end in ends):
            x, y = (int((ends[0][axis] + ends[1][axis]) / 2) for axis in (0, 1))
            near = drawn[y - 2 : y + 3, x - 2 : x + 3]
            require(bool(near.any()), f"no bone from {first} to {second}")
comparison.done("key points")

data = supervision.DetectionDataset.from_coco(
    str(FOLDER / "pictures"), str(FOLDER / "dataset_wholebody.json")
)
require(data.classes == ["person"], f"classes: {data.classes}")
require(len(data) == 3, f"{len(data)} pictures")
for _, _, detections in data:
    require(len(detections) == 2, f"{len(detections)} boxes")
