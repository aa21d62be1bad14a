"""supervision: key points made of the archive's arrays, their boxes, and the data set."""

import numpy as np
import supervision

from expected import FOLDER, Comparison, require

archive = np.load(FOLDER / "clip.npz")
ends = np.cumsum(archive["person_counts"])
comparison = Comparison("wholebody")
for frame, (count, end) in enumerate(zip(archive["person_counts"], ends, strict=True)):
    span = slice(end - count, end)
    key_points = supervision.KeyPoints(
        xy=archive["keypoints"][span], keypoint_confidence=archive["scores"][span]
    )
    for person in range(len(key_points)):
        for index, name in enumerate(comparison.names):
            values = [*key_points.xy[person, index], key_points.keypoint_confidence[person, index]]
            comparison.require(frame, person, name, values)
comparison.done("archive")

data = supervision.DetectionDataset.from_coco(
    str(FOLDER / "pictures"), str(FOLDER / "dataset_wholebody.json")
)
require(data.classes == ["person"], f"classes: {data.classes}")
require(len(data) == 3, f"{len(data)} pictures")
for _, _, detections in data:
    require(len(detections) == 2, f"{len(detections)} boxes")
