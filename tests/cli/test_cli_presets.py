from __future__ import annotations

import json

import pytest

from dwpose_infer.cli.infer import main
from dwpose_infer.cli.presets import PRESETS, with_preset
from dwpose_infer.errors import InvalidArgumentError

NOTHING = {name: None for preset in PRESETS.values() for name in preset.settings}


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_controlnet_gets_18_points_of_confidence_1_or_0_and_a_drawing(astronaut, tmp_path, capsys):
    assert run(astronaut, "--out", tmp_path, "--for", "controlnet") == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["astronaut_keypoints.json", "astronaut_openpose.png"]
    (person,) = json.loads((tmp_path / names[0]).read_text())["people"]
    assert len(person["pose_keypoints_2d"]) == 3 * 18
    assert set(person["pose_keypoints_2d"][2::3]) == {0, 1}
    assert person["face_keypoints_2d"][-1] == 1  # a pupil
    said = capsys.readouterr().err
    assert "--for controlnet sets --format openpose --draw openpose --openpose-body 18" in said


def test_pose_format_finds_nothing_but_pose_files(astronaut, tmp_path):
    assert run(astronaut, "--out", tmp_path, "--for", "pose-format", "--quiet") == 0
    (path,) = tmp_path.iterdir()
    (person,) = json.loads(path.read_text())["people"]
    assert len(person["pose_keypoints_2d"]) == 3 * 25


def test_a_data_set_has_all_points_in_one_list_named_in_its_category(astronaut, tmp_path):
    assert run(astronaut, "--out", tmp_path, "--for", "sleap-io") == 0
    (path,) = tmp_path.glob("[!.]*")
    document = json.loads(path.read_text())
    assert len(document["categories"][0]["keypoints"]) == 133
    assert len(document["annotations"][0]["keypoints"]) == 3 * 133


def test_options_given_by_hand_win(astronaut, tmp_path, capsys):
    arguments = ("--for", "controlnet", "--openpose-body", "25", "--draw", "none")
    assert run(astronaut, "--out", tmp_path, *arguments) == 0
    (path,) = tmp_path.iterdir()
    (person,) = json.loads(path.read_text())["people"]
    assert len(person["pose_keypoints_2d"]) == 3 * 25
    said = capsys.readouterr().err
    assert "--openpose-body" not in said
    assert "--openpose-confidence binary" in said


def test_a_format_that_the_reader_does_not_read_is_an_error(astronaut, tmp_path, capsys):
    assert run(astronaut, "--out", tmp_path, "--for", "pose2sim", "--format", "npz") == 2
    assert "--for pose2sim is about --format openpose" in capsys.readouterr().err
    both = ("--format", "json,openpose", "--draw", "none")
    assert run(astronaut, "--out", tmp_path, "--for", "pose2sim", *both) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["astronaut.json", "astronaut_keypoints.json"]


def test_no_preset_changes_nothing_and_a_full_command_leaves_nothing_to_set():
    assert with_preset(NOTHING, None) == (NOTHING, "")
    given = {**NOTHING, **PRESETS["sleap-io"].settings}
    chosen, said = with_preset(given, "sleap-io")
    assert chosen == given
    assert said == "--for sleap-io sets nothing, all of it was given"
    with pytest.raises(InvalidArgumentError, match="leave one of the two out"):
        with_preset({**NOTHING, "format": ["csv"]}, "fiftyone")


def test_the_help_names_every_reader(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name, preset in PRESETS.items():
        assert f"{name} for {preset.reader}" in said.replace("- ", "-")
