"""Pose2Sim: a camera's folder of OpenPose files, by its own reader and skeletons."""

import logging

logging.disable()  # it speaks of windows, which nobody asks for

from anytree import PreOrderIter
from Pose2Sim.common import sort_stringlist_by_last_number
from Pose2Sim.skeletons import BODY_25, COCO_133
from Pose2Sim.triangulation import extract_files_frame_f

from expected import FOLDER, Comparison, require

OTHER_NAMES = {"CHip": "MidHip"}


def compare(trial, skeleton, comparison, name_of, what):
    nodes = [node for node in PreOrderIter(skeleton) if node.id is not None]
    # Of a trial's folder "pose" it takes those with "json" in their names.
    (folder,) = [path for path in (FOLDER / trial).iterdir() if "json" in path.name]
    files = sort_stringlist_by_last_number([path.name for path in folder.glob("*.json")])
    require(len(files) == 3, f"{len(files)} frames")
    for frame, name in enumerate(files):
        x, y, likelihood = extract_files_frame_f([folder / name], [node.id for node in nodes])
        require(x.shape == (2, 1, len(nodes)), f"people, cameras and points: {x.shape}")
        for person in range(2):
            for index, node in enumerate(nodes):
                values = [each[person, 0, index] for each in (x, y, likelihood)]
                comparison.require(frame, person, name_of(node), values)
    comparison.done(what)


compare(
    "pose2sim", BODY_25, Comparison("body25"), lambda n: OTHER_NAMES.get(n.name, n.name), "body"
)
whole = Comparison("wholebody")
compare("pose2sim-133", COCO_133, whole, lambda node: whole.names[node.id], "133 points")
