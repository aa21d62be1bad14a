"""Formats that hold clips and no pictures: .pose, .trc, NWB and SLEAP."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from format_samples import full, ramp

from dwpose_infer import PoseResult
from dwpose_infer.errors import FormatError, InvalidArgumentError, MissingDependencyError
from dwpose_infer.formats import FORMATS, load_clip, save
from dwpose_infer.formats.clip_files import open_clip, save_clip
from dwpose_infer.formats.trc import MARKERS
from dwpose_infer.keypoints import KEYPOINT_INDEX, KEYPOINT_NAMES
from dwpose_infer.layouts import BODY_17

PACKAGE = {"pose": "pose_format", "nwb": "ndx_pose", "sleap": "sleap_io"}
EXTRA = {"pose": "pose-format", "nwb": "nwb", "sleap": "sleap"}
NOBODY = PoseResult.empty(image_size=(640, 480))
FRAMES = [full(2), NOBODY, full(2).select([1]).masked(parts=["body"])]
INDICES = [10, 12, 16]
TIMES_S = [0.4, 0.48, 0.64]


def name_of(format):
    return f"clip{FORMATS[format].ending}"


def written(folder, format, frames=FRAMES, **options):
    if format in PACKAGE:
        pytest.importorskip(PACKAGE[format])
    path = folder / name_of(format)
    options = {"indices": INDICES, "times_s": TIMES_S} | options
    return save_clip(frames, path, **options)


@pytest.mark.parametrize("format", PACKAGE)
def test_a_missing_package_is_named_with_its_extra(format, tmp_path):
    if importlib.util.find_spec(PACKAGE[format]):
        pytest.skip("it is installed")
    with pytest.raises(MissingDependencyError, match=rf"dwpose-infer\[{EXTRA[format]}\]"):
        save_clip(FRAMES, tmp_path / name_of(format), indices=INDICES, times_s=TIMES_S)
    with pytest.raises(MissingDependencyError):
        FORMATS[format].check(())


@pytest.mark.parametrize("format", ["pose", "trc", "nwb"])
def test_pictures_are_no_clip(format, tmp_path):
    if format in PACKAGE:
        pytest.importorskip(PACKAGE[format])
    with pytest.raises(InvalidArgumentError, match="holds a clip"):
        save(full(1), tmp_path / name_of(format))


@pytest.mark.parametrize("format", ["pose", "nwb"])
def test_times_have_to_be_known_or_given(format, tmp_path):
    with pytest.raises(InvalidArgumentError, match="give frame_rate="):
        written(tmp_path, format, times_s=[0.4, None, 0.64])
    path = written(tmp_path, format, times_s=[0.4, None, 0.64], frame_rate=25)
    assert load_clip(path).times_s[-1] == pytest.approx(0.24 if format == "pose" else 0.64)


@pytest.mark.parametrize("format", ["pose", "trc", "nwb", "sleap"])
def test_a_damaged_file_is_an_error_that_names_it(format, tmp_path):
    if format in PACKAGE:
        pytest.importorskip(PACKAGE[format])
    path = tmp_path / name_of(format)
    for content in (b"", b"nothing of the kind\n" * 9):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=name_of(format)):
            load_clip(path)


def test_pose_files_have_rows_for_frames_that_are_missing(tmp_path):
    clip = load_clip(written(tmp_path, "pose"))
    assert len(clip) == 4  # frames 10, 12, 14 and 16: every second one
    assert clip.indices.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(clip.times_s, [0, 0.08, 0.16, 0.24], rtol=1e-12)
    assert [len(frame.result) for frame in clip] == [2, 0, 0, 1]
    assert clip[0].result.image_size == (640, 480)
    np.testing.assert_array_equal(clip[0].result.keypoints, FRAMES[0].keypoints)
    np.testing.assert_array_equal(clip[3].result.keypoints, FRAMES[2].keypoints)
    np.testing.assert_array_equal(clip[3].result.scores, FRAMES[2].scores)


def test_nwb_has_identities_and_times(tmp_path):
    clip = load_clip(written(tmp_path, "nwb"))
    assert clip.ids.tolist() == [7, 8]
    np.testing.assert_array_equal(clip.times_s, TIMES_S)
    assert [len(frame.result) for frame in clip] == [2, 0, 1]
    np.testing.assert_array_equal(clip[2].result.keypoints, FRAMES[2].keypoints)
    untracked = load_clip(written(tmp_path, "nwb", [ramp(2), NOBODY, ramp(1)]))
    assert untracked.ids is None
    assert untracked.as_array(by="place").shape == (3, 2, 133, 3)


def test_sleap_has_indices_tracks_and_scores(tmp_path):
    clip = load_clip(written(tmp_path, "sleap"))
    assert clip.indices.tolist() == [10, 16]
    assert clip.ids.tolist() == [7, 8]
    np.testing.assert_array_equal(clip[0].result.scores, FRAMES[0].scores)
    np.testing.assert_array_equal(clip[1].result.keypoints, FRAMES[2].keypoints)
    np.testing.assert_array_equal(clip[0].result.box_scores, FRAMES[0].box_scores)
    assert clip[0].result.image_size == (640, 480)
    assert clip[0].result.source == FRAMES[0].source


def test_the_lines_of_a_trc_file(tmp_path):
    person = full(1)  # scores reach 0.3 with point 59
    path = written(tmp_path, "trc", [person, NOBODY, person], min_score=0.05)
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0][:3] == ["PathFileType", "4", "(X/Y/Z)"]
    assert dict(zip(lines[1], lines[2], strict=True)) == {
        "DataRate": "12.5",
        "CameraRate": "12.5",
        "NumFrames": "3",
        "NumMarkers": "135",
        "Units": "px",
        "OrigDataRate": "12.5",
        "OrigDataStartFrame": "10",
        "OrigNumFrames": "3",
    }
    assert lines[3][2::3] == list(MARKERS)
    assert {len(line) for line in lines[3:]} == {2 + 3 * 135}
    first = dict(zip(MARKERS, zip(*[iter(lines[5][2:])] * 3, strict=True), strict=True))
    assert lines[5][:2] == ["10", "0.4"]
    assert first["RHip"] == ("12.5", "-24.25", "0.0")  # point 12 of a ramp
    assert first["Hip"] == ("12.0", "-23.25", "0.0")
    assert first["Nose"] == ("", "", "")  # its score is 0.005
    assert set(lines[6][2:]) == {""}


def test_trc_in_metres(tmp_path):
    path = written(tmp_path, "trc", [full(1)] * 3, min_score=0, metres_per_pixel=0.002)
    row = path.read_text().splitlines()[5].split("\t")
    assert [float(cell) for cell in row[2:5]] == pytest.approx([0.001, -0.0005, 0])
    with pytest.raises(FormatError, match="its unit is 'm'"):
        load_clip(path)
    with pytest.raises(InvalidArgumentError, match="metres_per_pixel is -1"):
        written(tmp_path, "trc", [full(1)] * 3, metres_per_pixel=-1)


def test_markers_have_the_names_of_pose2sims_skeleton():
    """A few of `skeletons.COCO_133` of Pose2Sim 0.10.49; `make consumers` compares all."""
    ids = {
        "LEar": 3,
        "RSmallToe": 21,
        "EyebrowL1": 45,
        "Mouth20": 90,
        "LThumb1": 92,
        "LThumb": 93,
        "RIndex": 117,
        "RPinky4": 132,
    }
    assert {name: MARKERS.index(name) for name in ids} == ids
    assert len(set(MARKERS)) == len(MARKERS) == 135


def test_a_folder_of_trc_files_is_a_clip_of_several_people(tmp_path):
    folder = tmp_path / "clip_trc"
    with open_clip(folder, format="trc", stem="clip", min_score=0) as opened:
        for index, time_s, result in zip(INDICES, TIMES_S, FRAMES, strict=True):
            opened.write(index, time_s, result)
    assert sorted(path.name for path in folder.iterdir()) == ["clip_id7.trc", "clip_id8.trc"]
    clip = load_clip(folder)
    assert clip.ids.tolist() == [7, 8]
    assert clip.indices.tolist() == INDICES
    assert clip.times_s.tolist() == TIMES_S
    points = clip.as_array()
    np.testing.assert_array_equal(points[0, :, :, :2], FRAMES[0].keypoints)
    assert np.isnan(points[1]).all()
    assert np.isnan(points[2, 1, 17:]).all()
    (folder / "clip_id8.trc").unlink()
    assert load_clip(folder).ids.tolist() == [7]


def test_trc_of_several_people_in_one_file_is_an_error(tmp_path):
    with pytest.raises(InvalidArgumentError, match="holds one person"):
        written(tmp_path, "trc")
    (tmp_path / "a.trc").write_text("PathFileType\t4\n\n\nFrame#\tTime\tC7\n\n1\t0\t1\t2\t3\n")
    with pytest.raises(FormatError, match="its unit is ''"):
        load_clip(tmp_path / "a.trc")


def test_all_points_in_one_list_as_pose2sim_has_them(tmp_path):
    path = full(2).save(tmp_path / "a_1_keypoints.json", format="openpose", body=133)
    folder = load_clip(tmp_path)
    np.testing.assert_array_equal(folder[0].result.keypoints, full(2).keypoints)
    text = path.read_text()
    assert text.count('"face_keypoints_2d":[]') == text.count('"hand_left_keypoints_2d":[]') == 2
    assert len(KEYPOINT_NAMES) == 133
    assert KEYPOINT_INDEX["left_hand_root"] == 91


def test_a_network_of_17_points_fills_what_it_has(tmp_path):
    person = full(1)
    body = person.in_layout(BODY_17)
    path = written(tmp_path, "trc", [body] * 3, min_score=0)
    points = load_clip(path).as_array(by="place")
    np.testing.assert_array_equal(points[0, :, :17, :2], person.keypoints[:, :17])
    assert np.isnan(points[:, :, 17:]).all()
