from __future__ import annotations

import json

import numpy as np

from dwpose_infer import keypoints as kp


def test_parts_cover_every_keypoint_once():
    covered = np.concatenate([np.arange(133)[span] for span in kp.PARTS.values()])
    np.testing.assert_array_equal(covered, np.arange(133))


def test_parts_have_the_sizes_of_coco_wholebody():
    sizes = {name: span.stop - span.start for name, span in kp.PARTS.items()}
    assert sizes == {"body": 17, "feet": 6, "face": 68, "left_hand": 21, "right_hand": 21}


def test_flip_is_its_own_inverse_and_swaps_sides():
    flip = np.array(kp.FLIP_INDICES)
    np.testing.assert_array_equal(flip[flip], np.arange(133))
    for index, name in enumerate(kp.KEYPOINT_NAMES):
        if name.startswith("left_"):
            assert kp.KEYPOINT_NAMES[flip[index]] == name.replace("left_", "right_")
    # The nose bridge, the middle of the lips and the chin stay where they are.
    assert [int(flip[23 + point]) - 23 for point in (8, 27, 33, 51, 57)] == [8, 27, 33, 51, 57]


def test_links_join_points_of_one_part_or_the_ankles_with_the_feet():
    def part(index):
        return next(name for name, span in kp.PARTS.items() if span.start <= index < span.stop)

    crossing = {(part(a), part(b)) for a, b in kp.SKELETON_LINKS if part(a) != part(b)}
    assert crossing == {("body", "feet")}
    assert len(kp.SKELETON_LINKS) == 19 + 6 + 20 + 20


def test_names_are_unique_and_indexed():
    assert len(set(kp.KEYPOINT_NAMES)) == 133
    assert kp.KEYPOINT_NAMES[kp.LEFT_WRIST] == "left_wrist"
    assert kp.KEYPOINT_NAMES[132] == "right_pinky_finger4"


def test_tables_equal_the_dataset_definition(reference):
    definition = json.loads((reference / "extra/metainfo_coco_wholebody.json").read_text())
    names = definition["keypoint_id2name"]
    assert tuple(names[str(index)] for index in range(133)) == kp.KEYPOINT_NAMES
    assert list(kp.FLIP_INDICES) == definition["flip_indices"]
    assert [list(link) for link in kp.SKELETON_LINKS] == definition["skeleton_links"]
    np.testing.assert_array_equal(np.float32(kp.SIGMAS), np.float32(definition["sigmas"]))
