from __future__ import annotations

import csv
import zipfile

import numpy as np
import pytest
from test_frame_log import result

from dwpose_infer import PoseResult
from dwpose_infer.errors import InvalidArgumentError, MissingDependencyError
from dwpose_infer.formats import FORMATS, load
from dwpose_infer.formats.clip_files import open_clip
from dwpose_infer.media import read_frame_log, save_clip, save_openpose_frame

RESULTS = [result(0), PoseResult.empty(image_size=(640, 480)), result(2, persons=1)]
INDICES = [10, 15, 20]
TIMES_S = [0.4, 0.6, 0.8]


def test_npz_has_every_frame_with_its_time(tmp_path):
    path = save_clip(RESULTS, tmp_path / "clip.npz", indices=INDICES, times_s=[0.4, None, 0.8])
    with np.load(path) as arrays:
        assert arrays["frame_indices"].tolist() == INDICES
        assert arrays["frame_indices"].dtype == np.int64
        np.testing.assert_array_equal(arrays["frame_times_s"], [0.4, np.nan, 0.8])
        assert arrays["person_counts"].tolist() == [2, 0, 1]
    loaded = load(path)
    assert [len(item) for item in loaded] == [2, 0, 1]
    np.testing.assert_array_equal(loaded[2].keypoints, RESULTS[2].keypoints)


def test_csv_names_frame_and_time_of_every_person(tmp_path):
    path = save_clip(RESULTS, tmp_path / "clip.csv", indices=INDICES, times_s=[0.4, None, None])
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["time_s"], row["id"]) for row in rows] == [
        ("10", "0.4", "7"),
        ("10", "0.4", "8"),
        ("15", "", ""),
        ("20", "", "7"),
    ]
    first, nobody, last = load(path)
    assert len(nobody) == 0
    np.testing.assert_array_equal(first.keypoints, RESULTS[0].keypoints)
    np.testing.assert_array_equal(last.scores, RESULTS[2].scores)


def test_parquet_names_frame_and_time_of_every_person(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    path = save_clip(RESULTS, tmp_path / "clip.parquet", indices=INDICES, times_s=TIMES_S)
    table = parquet.read_table(path)
    assert table["frame"].to_pylist() == [10, 10, 15, 20]
    assert table["time_s"].to_pylist() == [0.4, 0.4, TIMES_S[1], 0.8]
    assert b"dwpose_infer.schema_version" in table.schema.metadata
    np.testing.assert_array_equal(load(path)[0].keypoints, RESULTS[0].keypoints)


@pytest.mark.parametrize("ending", ["npz", "csv", "parquet"])
def test_a_clip_with_nobody_in_it(tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    empty = [PoseResult.empty()] * 2
    path = save_clip(empty, tmp_path / f"clip.{ending}", indices=[0, 1], times_s=[0.0, 0.1])
    assert sum(len(item) for item in load(path)) == 0


def test_bad_arguments(tmp_path):
    with pytest.raises(InvalidArgumentError, match="not as json"):
        save_clip(RESULTS, tmp_path / "clip.json", indices=INDICES, times_s=TIMES_S)
    with pytest.raises(InvalidArgumentError, match="3 results, 2 indices"):
        save_clip(RESULTS, tmp_path / "clip.npz", indices=INDICES[:2], times_s=TIMES_S)
    with pytest.raises(InvalidArgumentError, match="no option 'nonesuch'"):
        save_clip(RESULTS, tmp_path / "a.npz", indices=INDICES, times_s=TIMES_S, nonesuch=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name, item in FORMATS.items() if item.of_clip])
def test_frame_by_frame(tmp_path, name):
    """What is opened for a clip holds what the functions for its kind write."""
    try:
        FORMATS[name].check(())
    except MissingDependencyError as error:
        pytest.skip(str(error))
    path = tmp_path / FORMATS[name].clip_name.format(stem="clip")
    with open_clip(path, format=name, stem="clip") as opened:
        assert path.exists() == (name == "json")
        for index, time_s, found in zip(INDICES, TIMES_S, RESULTS, strict=True):
            opened.write(index, time_s, found)
    if name == "json":
        assert [frame.index for frame in read_frame_log(path)] == INDICES
    elif name == "openpose":
        assert sorted(file.name for file in path.iterdir()) == [
            f"clip_{index:012d}_keypoints.json" for index in INDICES
        ]
    elif name == "trc":
        assert sorted(file.name for file in path.iterdir()) == ["clip_id7.trc", "clip_id8.trc"]
    elif name in ("nwb", "sleap"):  # HDF5 has times of its own
        assert [len(poses) for poses in load(path, format=name) if len(poses)] == [2, 1]
    else:
        whole = save_clip(RESULTS, tmp_path / f"a.{name}", indices=INDICES, times_s=TIMES_S)
        assert path.read_bytes() == whole.read_bytes()


def test_no_frame_no_file(tmp_path):
    with open_clip(tmp_path / "clip.csv", format="csv", stem="clip") as opened:
        pass
    opened.close()
    assert list(tmp_path.iterdir()) == []


def test_the_bytes_of_an_archive(tmp_path):
    """Two members after those of pictures, uncompressed; the first version wrote them so."""
    path = save_clip(RESULTS, tmp_path / "clip.npz", indices=INDICES, times_s=TIMES_S)
    with zipfile.ZipFile(path) as archive:
        added = archive.infolist()[-2:]
        assert {item.compress_type for item in archive.infolist()[:-2]} == {zipfile.ZIP_DEFLATED}
    assert [(item.filename, item.compress_type) for item in added] == [
        ("frame_indices.npy", zipfile.ZIP_STORED),
        ("frame_times_s.npy", zipfile.ZIP_STORED),
    ]


def test_openpose_names_the_files_of_a_video_itself(tmp_path):
    """OpenPose's `--write_json` numbers frames with twelve digits."""
    path = save_openpose_frame(RESULTS[0], tmp_path, stem="clip", index=12)
    assert path == tmp_path / "clip_000000000012_keypoints.json"
    assert len(load(path)[0]) == 2
    with pytest.raises(InvalidArgumentError, match="no option"):
        save_openpose_frame(RESULTS[0], tmp_path, stem="clip", index=1, nonesuch=1)
