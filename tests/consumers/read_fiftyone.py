"""FiftyOne: its importer of COCO data sets, without its database."""

import math
from pathlib import Path

import fiftyone.utils.coco as coco

from expected import FOLDER, Comparison, require

comparison = Comparison("wholebody")
width, height = comparison.document["size_wh"]
unsure = comparison.document["unsure"]
importer = coco.COCODetectionDatasetImporter(
    data_path=str(FOLDER / "pictures"),
    labels_path=str(FOLDER / "dataset_one-list.json"),
    label_types=["detections", "keypoints"],
)
with importer:
    (category,) = importer.get_dataset_info()["categories"]
    names = category["keypoints"]
    require(names == comparison.names, "other names of points")
    for path, _, labels in importer:
        frame = int(Path(path).stem) - 1
        require(len(labels["detections"].detections) == 2, "not two boxes")
        require(len(labels["keypoints"].keypoints) == 2, "not two people")
        for person, found in enumerate(labels["keypoints"].keypoints):
            for name, (x, y) in zip(names, found.points, strict=True):
                if name in unsure:
                    require(math.isnan(x), f"{name} is labelled")
                    continue
                comparison.require(frame, person, name, [x * width, y * height])
comparison.done("data set")
