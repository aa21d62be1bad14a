"""Persons drawn joint by joint, whose kind anybody can see."""

from __future__ import annotations

import numpy as np
import pytest
from eval_samples import image, label, save_labels

from dwpose_infer.annotations import read_annotations
from dwpose_infer.evaluation.groups import person_kinds
from dwpose_infer.keypoints import KEYPOINT_NAMES

FRONT = {
    "nose": (100, 60),
    "left_eye": (104, 55),
    "right_eye": (96, 55),
    "left_shoulder": (120, 100),
    "right_shoulder": (80, 100),
    "left_hip": (112, 180),
    "right_hip": (88, 180),
}
LEGS = {
    "left_knee": (112, 250),
    "right_knee": (88, 250),
    "left_ankle": (112, 320),
    "right_ankle": (88, 320),
}
SEAT = {**LEGS, "left_knee": (130, 200), "right_knee": (70, 200)}
BACK = {
    "left_shoulder": (80, 100),
    "right_shoulder": (120, 100),
    "left_hip": (88, 180),
    "right_hip": (112, 180),
}
BOX = (60.0, 40.0, 80.0, 290.0)


def kinds_of(folder, *persons, boxes=None):
    """Kinds of each person, alone on a picture of 640x480 or together where boxes are given."""
    entries = []
    for number, joints in enumerate(persons, start=1):
        points = np.zeros((133, 3))
        for name, (x, y) in joints.items():
            points[KEYPOINT_NAMES.index(name)] = x, y, 2
        box = boxes[number - 1] if boxes else BOX
        entries.append(label(number, 1 if boxes else number, points, box))
    pictures = [image(number) for number in range(1, len(persons) + 1)]
    kinds = person_kinds(read_annotations(save_labels(folder, pictures, entries)))
    return [
        {kind for kind, members in kinds.items() if members[person]}
        for person in range(len(persons))
    ]


def test_postures(tmp_path):
    turned = {name: (y, x) for name, (x, y) in {**FRONT, **LEGS}.items()}  # lies on the side
    standing, sitting, lying, back = kinds_of(
        tmp_path, FRONT | LEGS, FRONT | SEAT, turned, BACK | LEGS
    )
    assert standing == {"standing"}
    assert sitting == {"sitting"}
    assert lying == set()
    assert back == {"standing", "from behind"}


def test_upside_down_is_no_back(tmp_path):
    """Shoulders change sides on the picture when a person faces the camera upside down."""
    faceless = {name: place for name, place in FRONT.items() if "eye" not in name}
    turned = {name: (200 - x, 400 - y) for name, (x, y) in faceless.items() if name != "nose"}
    assert kinds_of(tmp_path, turned) == [set()]


def test_a_leg_stretched_while_the_other_kneels_still_stands(tmp_path):
    assert kinds_of(tmp_path, FRONT | LEGS | {"left_knee": (150, 185)}) == [{"standing"}]


@pytest.mark.parametrize(
    ("joints", "box", "expected"),
    [
        (FRONT, (60.0, 40.0, 300.0, 440.0), {"portrait"}),
        (FRONT, BOX, set()),  # behind a table, not cut off
        (FRONT | LEGS, (60.0, 40.0, 300.0, 440.0), {"standing"}),
        ({"nose": (100, 60)}, (60.0, 40.0, 300.0, 440.0), set()),
    ],
)
def test_portraits_are_cut_off_by_the_lower_edge(tmp_path, joints, box, expected):
    assert kinds_of(tmp_path, joints, boxes=[box]) == [expected]


def test_crowds_overlap_or_are_many(tmp_path):
    apart = [(90.0 * column, 0.0, 80.0, 200.0) for column in range(6)]
    assert all("crowd" in kinds for kinds in kinds_of(tmp_path, *[FRONT] * 6, boxes=apart))
    assert not any("crowd" in kinds for kinds in kinds_of(tmp_path, *[FRONT] * 5, boxes=apart[:5]))
    touching = [(0.0, 0.0, 80.0, 200.0), (60.0, 0.0, 80.0, 200.0), (300.0, 0.0, 80.0, 200.0)]
    first, second, third = kinds_of(tmp_path, *[FRONT] * 3, boxes=touching)
    assert "crowd" in first and "crowd" in second  # IoU 20 / 140
    assert "crowd" not in third


def test_nobody_is_of_no_kind(tmp_path):
    labels = read_annotations(save_labels(tmp_path, [image(1)], []))
    assert {kind: len(persons) for kind, persons in person_kinds(labels).items()} == dict.fromkeys(
        ("standing", "sitting", "portrait", "crowd", "from behind"), 0
    )
