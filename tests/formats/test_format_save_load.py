import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from format_samples import assert_same, full, ramp

from dwpose_infer.cli.infer import main
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError, OutputError
from dwpose_infer.formats import FORMATS, load, save
from dwpose_infer.results import PoseResult

CLIPS_ALONE = ("pose", "trc", "nwb", "sleap")
OF_PICTURES = [name for name in FORMATS if name not in CLIPS_ALONE]


def test_formats_as_data():
    assert {name: item.file_name for name, item in FORMATS.items()} == {
        "json": "{stem}.json",
        "openpose": "{stem}_keypoints.json",
        "coco": "results_coco.json",
        "coco-dataset": "dataset_coco.json",
        "npz": "{stem}.npz",
        "csv": "poses.csv",
        "parquet": "poses.parquet",
        **dict.fromkeys(CLIPS_ALONE, ""),
    }
    for name, item in FORMATS.items():
        assert item.name == name
        assert (item.per == "clip") == (name in CLIPS_ALONE)
        assert item.file_name.endswith(item.ending) or name in CLIPS_ALONE
        assert (item.per == "picture") == ("{stem}" in item.file_name)
        assert (item.of_clip is None) == (not item.clip_name)
    assert {name: (item.of_clip, item.clip_name) for name, item in FORMATS.items()} == {
        "json": ("log", "{stem}.jsonl"),
        "openpose": ("folder", "{stem}_keypoints"),
        "coco": (None, ""),
        "coco-dataset": (None, ""),
        "npz": ("file", "{stem}.npz"),
        "csv": ("file", "{stem}.csv"),
        "parquet": ("file", "{stem}.parquet"),
        "pose": ("file", "{stem}.pose"),
        "trc": ("persons", "{stem}_trc"),
        "nwb": ("file", "{stem}.nwb"),
        "sleap": ("file", "{stem}.slp"),
    }


def test_the_help_of_the_command_names_every_format(capsys):
    """It is written out, for the table of formats would make the help load NumPy."""
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split()).replace("- ", "-")  # it breaks at hyphens
    assert f"pose files to write: {', '.join(FORMATS)} or none" in said
    for item in FORMATS.values():
        for name in filter(None, (item.file_name, item.clip_name)):
            assert name.replace("{stem}", "NAME") in said or f", {item.ending}" in said


@pytest.mark.parametrize("name", OF_PICTURES)
def test_save_and_load_by_name(tmp_path, name):
    path = tmp_path / "new" / "poses.dat"
    assert save(full(2), path, format=name) == path
    if FORMATS[name].ending == ".json":
        json.loads(path.read_text())
    read = load(path, format=name)
    assert len(read) == 1
    point = 120 if name == "coco-dataset" else 10  # of a score that is labelled there
    assert read[0].keypoints[1, point].tolist() == full(2).keypoints[1, point].tolist()
    if FORMATS[name].lossless:
        assert_same(read[0], full(2))


@pytest.mark.parametrize("ending", [".json", ".JSON", ".npz", ".csv", ".parquet"])
def test_ending_names_the_format(tmp_path, ending):
    results = [full(2), full(1, source="a.jpg")]
    path = save(results, str(tmp_path / f"poses{ending}"))
    assert isinstance(path, Path)
    for actual, expected in zip(load(str(path)), results, strict=True):
        assert_same(actual, expected)


@pytest.mark.parametrize("name", ["json", "openpose", "coco", "coco-dataset"])
def test_json_is_told_apart_by_content(tmp_path, name):
    path = save(full(2), tmp_path / "a.json", format=name)
    (found,) = load(path)
    present = found.scores > 0
    assert present.any()
    assert found.keypoints[present].tolist() == full(2).keypoints[present].tolist()


def test_pictures_of_comfyui(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"people": []}, {"people": [{"pose_keypoints_2d": null}]}]')
    assert [len(result) for result in load(path)] == [0, 1]


def test_empty_list_of_persons(tmp_path):
    path = save([], tmp_path / "a.json", format="coco")
    assert path.read_text() == "[]\n"
    assert load(path) == []


def test_methods_of_a_result(tmp_path):
    result = full(2)
    assert result.save(tmp_path / "a.json") == tmp_path / "a.json"
    assert json.loads((tmp_path / "a.json").read_text()) == result.to_dict()
    result.save(tmp_path / "b.json", format="openpose", body=25, pupils="eyes")
    document = json.loads((tmp_path / "b.json").read_text())
    assert len(document["people"][0]["pose_keypoints_2d"]) == 75
    result.save(tmp_path / "c.npz", compress=False)
    assert_same(load(tmp_path / "c.npz")[0], result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "a.txt"}, r"a\.txt names no format: use \.json, \.npz, \.csv, \.parquet"),
        ({"path": "a"}, "names no format"),
        ({"path": "a.json", "format": "xml"}, "unknown format 'xml'; the formats are json, openp"),
        ({"path": "a.csv", "body": 18}, "format 'csv' has no option 'body'; it has no options"),
        (
            {"path": "a.json", "format": "openpose", "bodies": 18},
            "has no option 'bodies'; its options are body, pupils, confidence, source, min_score",
        ),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    path, options = arguments["path"], {**arguments}
    del options["path"]
    with pytest.raises(InvalidArgumentError, match=message):
        save(full(1), path, **options)
    assert list(tmp_path.iterdir()) == []


def test_openpose_holds_one_picture(tmp_path):
    with pytest.raises(InvalidArgumentError, match="holds one picture, not 2: save each"):
        save([full(1), full(1)], tmp_path / "a.json", format="openpose")


def test_only_results(tmp_path):
    with pytest.raises(InvalidArgumentError, match="only a PoseResult"):
        save([full(1).to_dict()], tmp_path / "a.json")


def test_infinite_numbers_have_no_json(tmp_path):
    result = ramp(1, source="1.jpg")
    result.keypoints[0, 0, 0] = float("inf")
    for name in ("json", "openpose", "coco"):
        with pytest.raises(InvalidArgumentError, match="infinite"):
            save(result, tmp_path / "a.json", format=name)
    for ending in (".npz", ".csv", ".parquet"):
        assert_same(load(save(result, tmp_path / f"a{ending}"))[0], result)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.json: there is no such file"):
        load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "{", "not a JSON file"),
        ("a.json", "3", "neither this package's JSON"),
        ("a.json", '{"version": "ap10k", "animals": []}', "neither this package's JSON"),
        ("a.json", '{"schema": "dwpose_infer.other"}', "schema is 'dwpose_infer.other'"),
        ("a.npz", "x", "not a NumPy archive"),
        ("a.csv", "x", "not a table of poses"),
        ("a.parquet", "x", "not a Parquet table"),
    ],
)
def test_malformed_file(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(FormatError, match=message) as raised:
        load(path)
    assert str(path) in str(raised.value)


def test_failure_to_write(tmp_path):
    with pytest.raises(OutputError, match="it is a folder"):
        save(PoseResult.empty(), tmp_path, format="json")


def test_import_is_light():
    code = "import sys, dwpose_infer.formats; print({'pyarrow', 'pandas', 'cv2'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize("name", ["json", "npz"])
def test_notes_come_back(tmp_path, name):
    noted = replace(full(), notes=("first of 3 frames used", "ü \n 0..1"))
    path = tmp_path / f"a.{name}"
    for results in ([noted], [noted, full()], [full(), noted, noted]):
        save(results, path)
        for actual, expected in zip(load(path), results, strict=True):
            assert_same(actual, expected)


def test_a_result_without_notes_has_none_in_its_files(tmp_path):
    assert "notes" not in full().to_dict()
    assert "notes" not in np.load(save(full(), tmp_path / "a.npz")).files
    document = {**full().to_dict(), "notes": ["x", 1]}
    (tmp_path / "a.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="notes is not a list of texts"):
        load(tmp_path / "a.json")
