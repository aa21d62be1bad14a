"""controlnet_aux: its drawing of a picture's OpenPose file, beside ours of the same result.

Its drawing stands in a module of NumPy and OpenCV alone, which is loaded by itself: the package
imports torch and every other annotator.
"""

import importlib.util
import json
import sys
from importlib.metadata import distribution

import cv2
import numpy as np

from expected import FOLDER, Comparison, require

place = distribution("controlnet-aux").locate_file("controlnet_aux/dwpose/util.py")
spec = importlib.util.spec_from_file_location("drawing", place)
if spec is None or spec.loader is None:
    sys.exit(f"{place} is no module")
drawing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drawing)

document = json.loads(
    (FOLDER / "controlnet/clip_keypoints/clip_000000000000_keypoints.json").read_text()
)
size = document["canvas_width"], document["canvas_height"]


def part(field: str) -> np.ndarray:
    """(people, points, 3): x, y as fractions of the canvas, and the confidence, 1 or 0."""
    triples = np.array([person[field] for person in document["people"]])
    triples = triples.reshape(len(triples), -1, 3)
    require(set(np.unique(triples[..., 2])) <= {0, 1}, f"{field}: a confidence between 0 and 1")
    points = triples[..., :2] / size
    points[triples[..., 2] < 1] = -1
    return np.concatenate([points, triples[..., 2:]], axis=2)


body = part("pose_keypoints_2d")
order = np.arange(body.shape[0] * body.shape[1]).reshape(body.shape[:2])
subset = np.where(body[..., 2] == 1, order, -1)
canvas = np.zeros((*size[::-1], 3), np.uint8)
canvas = drawing.draw_bodypose(canvas, body[..., :2].reshape(-1, 2), subset)
hands = [part(f"hand_{side}_keypoints_2d")[..., :2] for side in ("left", "right")]
canvas = drawing.draw_handpose(canvas, np.concatenate(hands))
canvas = drawing.draw_facepose(canvas, part("face_keypoints_2d")[:, :68, :2])

ours = cv2.imread(str(FOLDER / "controlnet.png"))[..., ::-1]
comparison = Comparison("body18")
points = [(name, "body18", "pose_keypoints_2d") for name in comparison.frames[0][0]["body18"]]
points += [(f"face-{index}", "wholebody", "face_keypoints_2d") for index in range(68)]
for person, found in enumerate(document["people"]):
    for place, (name, layout, field) in enumerate(points):
        index = place if layout == "body18" else place - 18
        x, y, confidence = found[field][3 * index : 3 * index + 3]
        if not confidence:
            require(name == "LAnkle", f"{name} is absent")
            continue
        comparison.layout = layout
        comparison.require(0, person, name, [x, y])
        theirs, own = (drawn[int(y), int(x)].astype(int) for drawn in (canvas, ours))
        require(np.abs(theirs - own).max() <= 2, f"{name} is drawn {theirs}, by us {own}")
comparison.done("places and colours of body and face")
