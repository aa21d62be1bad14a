"""pycocotools: labels and results, and an evaluation of the one by the other."""

import contextlib
import io
import json

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from expected import FOLDER, Comparison, require

PARTS = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")

with contextlib.redirect_stdout(io.StringIO()):
    labels = COCO(str(FOLDER / "dataset_wholebody.json"))
    whole = COCO(str(FOLDER / "dataset_one-list.json"))
    found = labels.loadRes(str(FOLDER / "results_coco.json"))

unsure = json.loads((FOLDER / "expected.json").read_text())["unsure"]
for coco, what, fields, scored in (
    (labels, "data set", PARTS, False),
    (whole, "data set, one list", PARTS[:1], False),
    (found, "results", PARTS, True),
):
    comparison = Comparison("wholebody")
    names = comparison.names
    if coco is whole:
        names = coco.loadCats([1])[0]["keypoints"]
    for frame, image_id in enumerate(sorted(coco.getImgIds())):
        persons = coco.loadAnns(coco.getAnnIds(imgIds=[image_id]))
        require(len(persons) == 2, f"{what}: {len(persons)} persons")
        for place, person in enumerate(persons):
            flat = [value for field in fields for value in person[field]]
            for index, name in enumerate(names):
                values = flat[3 * index : 3 * index + (3 if scored else 2)]
                if name in unsure and not scored:
                    require(flat[3 * index + 2] == 0, f"{name} is labelled")
                    continue
                comparison.require(frame, place, name, values)
    comparison.done(f"pycocotools {what}")

with contextlib.redirect_stdout(io.StringIO()):
    evaluation = COCOeval(labels, found, "keypoints")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
require(abs(evaluation.stats[0] - 1) < 1e-9, f"AP is {evaluation.stats[0]}, not 1")
