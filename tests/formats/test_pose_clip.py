from __future__ import annotations

import json

import numpy as np
import pytest
from format_samples import assert_same, full, ramp

from dwpose_infer import PoseResult
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError
from dwpose_infer.formats import load, load_clip, save
from dwpose_infer.formats.clip_files import open_clip
from dwpose_infer.formats.frame_log import FrameLog

NOBODY = PoseResult.empty(image_size=(640, 480))
FRAMES = [(10, 0.4, full(2)), (15, None, NOBODY), (20, 0.8, full(1).select([0]))]


def written(path, *, format, frames=FRAMES):
    with open_clip(path, format=format, stem="clip") as clip:
        for index, time_s, result in frames:
            clip.write(index, time_s, result)
    return path


@pytest.mark.parametrize(("format", "name"), [("json", "clip.jsonl"), ("npz", "clip.npz")])
def test_frames_come_back_with_index_time_and_result(tmp_path, format, name):
    clip = load_clip(written(tmp_path / name, format=format))
    assert [(frame.index, frame.time_s) for frame in clip] == [(10, 0.4), (15, None), (20, 0.8)]
    for frame, (_, _, result) in zip(clip, FRAMES, strict=True):
        assert_same(frame.result, result)
    assert len(clip) == 3
    assert clip[-1].index == 20
    np.testing.assert_array_equal(clip.times_s, [0.4, np.nan, 0.8])


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_tables_have_a_row_for_a_frame_with_nobody(tmp_path, format):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    clip = load_clip(written(tmp_path / f"clip.{format}", format=format))
    assert [(frame.index, frame.time_s) for frame in clip] == [(10, 0.4), (15, None), (20, 0.8)]
    assert [len(frame.result) for frame in clip][1] == 0
    np.testing.assert_array_equal(clip[0].result.keypoints, full(2).keypoints)
    assert clip.ids.tolist() == [7, 8]


def test_a_folder_of_openpose_files(tmp_path):
    folder = written(tmp_path / "clip_keypoints", format="openpose")
    (folder / "notes.json").write_text("{}")
    clip = load_clip(folder)
    assert [(frame.index, frame.time_s) for frame in clip] == [(10, None), (15, None), (20, None)]
    assert clip.as_array(by="place").shape == (3, 2, 133, 3)


def test_the_array_has_a_column_for_each_identity(tmp_path):
    last = full(2).select([1, 0])  # the second person comes first
    frames = [*FRAMES[:2], (20, 0.8, last), (21, 0.84, full(2).select([1]))]
    clip = load_clip(written(tmp_path / "clip.npz", format="npz", frames=frames))
    points = clip.as_array()
    assert clip.ids.tolist() == [7, 8]
    assert clip.indices.tolist() == [10, 15, 20, 21]
    assert (points.shape, points.dtype) == ((4, 2, 133, 3), np.float32)
    np.testing.assert_array_equal(points[0, 1, 3], [103.5, 1006.25, np.float32(0.02)])
    np.testing.assert_array_equal(points[2], points[0])
    np.testing.assert_array_equal(points[3, 1], points[0, 1])
    assert np.isnan(points[1]).all()
    assert np.isnan(points[3, 0]).all()


def test_an_absent_point_is_nan_as_a_whole(tmp_path):
    hidden = full(1).masked(parts=["body"])
    path = written(tmp_path / "clip.jsonl", format="json", frames=[(0, 0.0, hidden)])
    points = load_clip(path).as_array()
    assert not np.isnan(points[0, 0, :17]).any()
    assert np.isnan(points[0, 0, 17:]).all()


def test_without_identities_the_array_is_by_place_or_an_error_says_so(tmp_path):
    clip = load_clip(written(tmp_path / "a.npz", format="npz", frames=[(0, 0.0, ramp(2))]))
    assert clip.ids is None
    assert "not tracked" in repr(clip)
    with pytest.raises(InvalidArgumentError, match="--track"):
        clip.as_array()
    np.testing.assert_array_equal(clip.as_array(by="place")[0, :, :, 2], ramp(2).scores)
    with pytest.raises(InvalidArgumentError, match="by is"):
        clip.as_array(by="name")


def test_a_damaged_frame_has_no_result_and_no_points(tmp_path):
    with FrameLog(tmp_path / "clip.jsonl") as log:
        log.write(0, 0.0, full(1))
        log.write_damaged(1, 0.04, "torn")
    clip = load_clip(tmp_path / "clip.jsonl")
    assert (clip[1].result, clip[1].damage) == (None, "torn")
    assert np.isnan(clip.as_array()[1]).all()


def test_an_empty_clip(tmp_path):
    (tmp_path / "clip.jsonl").write_bytes(b"")
    clip = load_clip(tmp_path / "clip.jsonl")
    assert clip.as_array().shape == (0, 0, 133, 3)


@pytest.mark.parametrize("name", ["poses.npz", "poses.csv", "poses.parquet"])
def test_files_of_pictures_are_no_clips(tmp_path, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    save([full(1)], tmp_path / name)
    with pytest.raises(FormatError, match="of pictures"):
        load_clip(tmp_path / name)


def test_what_is_no_clip_at_all(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"\.jsonl, \.npz, \.csv, \.parquet"):
        load_clip(tmp_path / "pose.json")
    with pytest.raises(InputError, match="absent"):
        load_clip(tmp_path / "absent.npz")
    with pytest.raises(InputError, match="no file of a frame"):
        load_clip(tmp_path)
    for name in ("a_1_keypoints.json", "b_1_keypoints.json"):
        (tmp_path / name).write_text(json.dumps({"people": []}))
    with pytest.raises(FormatError, match="are one frame"):
        load_clip(tmp_path)


def test_load_says_who_reads_a_clip(tmp_path):
    path = written(tmp_path / "clip.jsonl", format="json")
    with pytest.raises(InvalidArgumentError, match="read it with load_clip"):
        load(path)


def test_one_identity_twice_in_a_frame_is_an_error(tmp_path):
    twins = full(2).select([0, 0])
    clip = load_clip(written(tmp_path / "a.npz", format="npz", frames=[(3, 0.1, twins)]))
    with pytest.raises(InvalidArgumentError, match="frame 3"):
        clip.as_array()
