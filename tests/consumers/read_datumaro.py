"""Datumaro: the data set with all points in one list, under the names that it looks for."""

import logging
import shutil
import tempfile
from pathlib import Path

from expected import FOLDER, Comparison, require

logging.disable()  # it speaks of outlines, which a data set of poses has none of

import datumaro

comparison = Comparison("wholebody")
unsure = comparison.document["unsure"]
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder)
    shutil.copytree(FOLDER / "pictures", root / "images" / "default")
    (root / "annotations").mkdir()
    labels = root / "annotations" / "person_keypoints_default.json"
    shutil.copy(FOLDER / "dataset_one-list.json", labels)
    data = datumaro.Dataset.import_from(str(root), "coco_person_keypoints")
    (category,) = data.categories()[datumaro.AnnotationType.points].items.values()
    require(list(category.labels) == comparison.names, "other names of points")
    require(len(category.joints) == 65, f"{len(category.joints)} bones")
    items = sorted(data, key=lambda item: item.id)
    require(len(items) == 3, f"{len(items)} pictures")
    for frame, item in enumerate(items):
        people = [each for each in item.annotations if each.type.name == "points"]
        people.sort(key=lambda each: each.id)
        require(len(people) == 2, f"{len(people)} people")
        for person, found in enumerate(people):
            for index, name in enumerate(comparison.names):
                if name in unsure:
                    absent = found.visibility[index].name == "absent"
                    require(absent, f"{name} is labelled")
                    continue
                place = found.points[2 * index : 2 * index + 2]
                comparison.require(frame, person, name, place, tolerance=0.01)
comparison.done("data set")
