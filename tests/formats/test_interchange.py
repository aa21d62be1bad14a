from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from format_samples import full, ramp

from dwpose_infer import PoseResult
from dwpose_infer.errors import InvalidArgumentError, MissingDependencyError
from dwpose_infer.formats import load_clip
from dwpose_infer.formats.clip_files import open_clip
from dwpose_infer.formats.interchange import SUPERVISION_EDGES
from dwpose_infer.keypoints import KEYPOINT_NAMES


def test_a_data_frame_has_a_row_for_each_point():
    pytest.importorskip("pandas")
    frame = full(2).masked(parts=["body"]).to_dataframe()
    assert list(frame) == ["person", "id", "part", "keypoint", "x", "y", "score"]
    assert len(frame) == 2 * 133
    row = frame[(frame.id == 8) & (frame.keypoint == "left_elbow")].iloc[0]
    assert (row.person, row.part, row.x, row.y) == (1, "body", 107.5, 1014.25)
    assert row.score == np.float32(0.04)
    assert (frame.x.dtype, frame.score.dtype) == (np.float32, np.float32)
    assert frame.x.notna().sum() == 2 * 17
    assert frame.part.unique().tolist() == ["body", "feet", "face", "left_hand", "right_hand"]


def test_identities_of_a_picture_are_missing_and_nobody_is_no_row():
    pytest.importorskip("pandas")
    frame = ramp(1).to_dataframe(library="pandas")
    assert frame.id.isna().all()
    empty = PoseResult.empty().to_dataframe()
    assert (len(empty), list(empty)) == (0, list(frame))


def test_the_data_frame_of_a_clip_has_frames_and_times(tmp_path):
    pytest.importorskip("pandas")
    with open_clip(tmp_path / "clip.npz", format="npz", stem="clip") as clip:
        for index, result in ((3, full(2)), (4, PoseResult.empty()), (5, full(1))):
            clip.write(index, None if index == 5 else index / 25, result)
    frame = load_clip(tmp_path / "clip.npz").to_dataframe()
    assert list(frame)[:4] == ["frame", "time_s", "person", "id"]
    assert frame.frame.tolist() == [3] * 266 + [5] * 133
    assert frame.time_s[0] == 3 / 25
    assert frame.time_s.isna().sum() == 133
    nose = frame[frame.keypoint == "nose"].pivot(index="frame", columns="id", values="x")
    assert nose.loc[3].tolist() == [0.5, 100.5]


def test_what_is_missing_is_named(monkeypatch):
    for name in ("pandas", "polars", "supervision"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match="pandas or polars: pip install pandas"):
        full(1).to_dataframe()
    with pytest.raises(MissingDependencyError, match="needs polars: pip install polars"):
        full(1).to_dataframe(library="polars")
    with pytest.raises(InvalidArgumentError, match="library is 'dask'"):
        full(1).to_dataframe(library="dask")
    with pytest.raises(MissingDependencyError, match="pip install supervision"):
        full(1).to_supervision()


def test_key_points_of_supervision(monkeypatch):
    fake = SimpleNamespace(KeyPoints=lambda **values: values)
    monkeypatch.setitem(sys.modules, "supervision", fake)
    given = full(2).masked(parts=["body", "right_hand"]).to_supervision(min_score=0.6)
    assert given["xy"].dtype == np.float32
    np.testing.assert_array_equal(given["xy"][1, 7], [107.5, 1014.25])
    np.testing.assert_array_equal(given["xy"][:, 17:112], 0)
    # Point i scores (i + 1) / 200: those of 0.6 and more begin with the 120th.
    assert np.flatnonzero(given["visible"][0]).tolist() == list(range(119, 133))
    assert given["data"]["tracker_id"].tolist() == [7, 8]
    assert given["class_id"].tolist() == [0, 0]
    assert "tracker_id" not in ramp(1).to_supervision()["data"]
    monkeypatch.setitem(sys.modules, "supervision", SimpleNamespace(KeyPoints=lambda xy: xy))
    with pytest.raises(MissingDependencyError, match=r"supervision>=0\.31"):
        full(1).to_supervision()


def test_the_bones_given_along_count_from_one():
    named = {(KEYPOINT_NAMES[a - 1], KEYPOINT_NAMES[b - 1]) for a, b in SUPERVISION_EDGES}
    assert ("left_shoulder", "left_elbow") in named
    assert ("right_pinky_finger3", "right_pinky_finger4") in named
    assert len(named) == 65
    assert min(min(edge) for edge in SUPERVISION_EDGES) == 1
    assert max(max(edge) for edge in SUPERVISION_EDGES) == 133
