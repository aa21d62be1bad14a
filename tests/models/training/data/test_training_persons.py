from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.models.training.data import read_persons
from dwpose_infer.models.training.settings import DataSource


def test_all_persons_of_the_set_arrive_in_order(persons, document, tmp_path):
    assert persons.ids.tolist() == list(range(100, 109))
    assert persons.image_indices.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert persons.sizes_wh.tolist() == [[90, 120], [120, 90], [100, 100]]
    assert persons.path(1) == tmp_path / "images" / "20.png"
    face = np.reshape(document["annotations"][4]["face_kpts"], (-1, 3))
    np.testing.assert_array_equal(persons.keypoints[4, 23:91], face[:, :2].astype(np.float32))
    assert persons.labelled.all()
    assert persons.keypoints.dtype == persons.boxes_xyxy.dtype == np.float32


def test_boxes_are_clipped_to_the_last_pixel(document, save_set, source):
    # mmpose clips corners to [0, side - 1]: picture 10 is 90 x 120.
    document["annotations"][0]["bbox"] = [-5, 30, 200, 300]
    persons = read_persons([source], root=save_set(document))
    assert persons.boxes_xyxy[0].tolist() == [0, 30, 89, 119]


def test_what_mmpose_drops_is_dropped_and_counted(document, save_set, source):
    crowd, pointless, empty, beside, above = document["annotations"][:5]
    crowd["iscrowd"] = 1
    pointless["num_keypoints"] = 0
    empty["bbox"] = [5, 5, 0, 20]
    beside["bbox"] = [119, 10, 50, 20]  # picture 20 is 120 wide: nothing is left in 0..119
    for field in ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts"):
        above[field] = [0] * len(above[field])
    persons = read_persons([source], root=save_set(document))
    assert persons.ids.tolist() == [105, 106, 107, 108]
    (report,) = persons.reports
    assert (report.crowds, report.without_points, report.without_box) == (1, 2, 2)
    assert (report.persons, report.kept, report.pictures) == (9, 4, 2)
    assert "4 of 9 persons on 2 pictures" in str(report)
    assert "2 without a box" in str(report)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({"frame_step": 10}, [100, 101, 102, 103, 104, 105]),  # images 10 and 20, not 35
        ({"frame_step": 20}, [103, 104, 105]),
        ({"collections": ("first",)}, [100, 101, 102]),
        ({"labels": ("by hand",)}, [107]),
        ({"labels": ("by hand", "")}, list(range(100, 109))),
    ],
)
def test_filters(document, save_set, source, changes, kept):
    document["annotations"][7]["label"] = "by hand"
    persons = read_persons([replace(source, **changes)], root=save_set(document))
    assert persons.ids.tolist() == kept
    # Pictures without persons are not asked for.
    assert len(persons.paths_utf8) == len(np.unique(persons.image_indices))


def test_points_with_v_0_are_not_labelled(document, save_set, source):
    document["annotations"][2]["lefthand_kpts"][2::3] = [0] * 10 + [1] * 11
    persons = read_persons([source], root=save_set(document))
    assert persons.labelled[2].sum() == 123
    assert not persons.labelled[2, 91:101].any()


def test_sources_follow_one_another(document, save_set, source):
    others = replace(source, collections=("others",), frame_step=10)
    persons = read_persons([source, others], root=save_set(document))
    assert persons.ids.tolist() == [*range(100, 109), 103, 104, 105]
    assert persons.source_indices.tolist() == [0] * 9 + [1] * 3
    assert persons.image_indices[-3:].tolist() == [3, 3, 3]
    assert persons.path(3) == persons.path(1)
    assert persons.describe(11).endswith("labels.json: annotation 105")


def test_missing_pictures_are_named_and_counted(document, save_set, source):
    root = save_set(document)
    (root / "images" / "20.png").unlink()
    (root / "images" / "35.png").unlink()
    with pytest.raises(InputError) as error:
        read_persons([source], root=root)
    message = str(error.value)
    assert str(root / "images" / "20.png") in message
    assert "labels.json" in message
    assert "image 20, annotation 103" in message
    assert "and 1 more" in message
    assert read_persons([replace(source, collections=("first",))], root=root).ids.size == 3


def test_a_wrong_folder_is_named(document, save_set, source):
    with pytest.raises(InputError, match=r"nowhere.* and 2 more.* Is the folder"):
        read_persons([replace(source, images="nowhere")], root=save_set(document))


def test_nothing_left_says_why(document, save_set, source):
    with pytest.raises(InputError, match=r"0 of 9 persons.*9 with other labels.*nothing is left"):
        read_persons([replace(source, labels=("typo",))], root=save_set(document))
    with pytest.raises(InputError, match="no data source"):
        read_persons([])


def test_a_picture_without_a_size_is_named(document, save_set, source):
    document["images"][1]["width"] = 0
    with pytest.raises(FormatError, match="image 20 has no width and height"):
        read_persons([source], root=save_set(document))


def test_wrong_keypoint_counts_are_named(document, save_set, source):
    document["annotations"][3]["face_kpts"] = [1.0] * 203
    with pytest.raises(FormatError, match=r"labels.json: annotation 103: face_kpts has 203"):
        read_persons([source], root=save_set(document))


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone\.json"):
        read_persons([DataSource(annotations="gone.json", images="images")], root=tmp_path)
