#!/usr/bin/env bash
# pose-format 0.15.0, utils.openpose.load_openpose_directory.
#
# One would think that it reads the bodies of 18 points that OpenPose writes with --model_pose COCO
# (pose_keypoints_2d of 54 numbers), or refuses them. It knows the 25 points of BODY_25 alone and
# lays all parts of a person one after the other without looking at their lengths: from the ninth
# point on the body has other names (RHip's place is called MidHip), the seven names left over take
# the first points of the face (LBigToe is one), and every point of face and hands stands seven
# places early. Nothing is said.
#
# Seen with a person whose points lie at x = 1, 2, 3, ... of each part, y = 100 for the body, 200 for
# the face, 300 and 400 for the hands: MidHip at (9, 100), LBigToe at (2, 200), the first point of
# the left hand at (8, 300); with 25 points the body's ninth, its twentieth and the hand's first.
#
# Fails when these change.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pose-format==0.15.0 numpy==2.4.6

cat > read.py <<'PY'
import json, pathlib, warnings
from importlib.metadata import version
warnings.simplefilter("ignore")
from pose_format.utils.openpose import load_openpose_directory

def place_of(body, wanted):
    parts = {"pose": (body, 100), "face": (70, 200), "hand_left": (21, 300), "hand_right": (21, 400)}
    person = {
        f"{name}_keypoints_2d": [v for x in range(1, count + 1) for v in (x, y, 0.9)]
        for name, (count, y) in parts.items()
    }
    folder = pathlib.Path(f"body{body}")
    folder.mkdir()
    document = {"version": 1.3, "people": [{"person_id": [-1], **person}]}
    (folder / "clip_000000000000_keypoints.json").write_text(json.dumps(document))
    pose = load_openpose_directory(str(folder), fps=25, width=640, height=480)
    found, place = {}, 0
    for component in pose.header.components:
        for point in component.points:
            found[component.name, point] = tuple(pose.body.data[0, 0, place].filled(-1).tolist())
            place += 1
    return [found[key] for key in wanted]

wanted = [("pose_keypoints_2d", "MidHip"), ("pose_keypoints_2d", "LBigToe"), ("hand_left_keypoints_2d", "BASE")]
print("pose-format", version("pose-format"))
seen = {body: place_of(body, wanted) for body in (18, 25)}
for body, places in seen.items():
    print(f"{body} points:", ", ".join(f"{key[1]} {place}" for key, place in zip(wanted, places)))
expected = {18: [(9, 100), (2, 200), (8, 300)], 25: [(9, 100), (20, 100), (1, 300)]}
raise SystemExit(seen != expected)
PY
venv/bin/python read.py
