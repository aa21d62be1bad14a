"""What is written is what the JSON Schemas say, and they refuse what is not."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from format_samples import full, pose_results, ramp
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from dwpose_infer import PoseResult
from dwpose_infer.cli.infer import main
from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.formats import FORMATS, save
from dwpose_infer.formats.frame_log import FrameLog
from dwpose_infer.formats.json_schema import SCHEMA_NAMES, json_schema
from dwpose_infer.layouts import LAYOUTS

VALIDATORS = {name: Draft202012Validator(json.loads(json_schema(name))) for name in SCHEMA_NAMES}


def of_layout(points: int) -> PoseResult:
    whole = full()
    return PoseResult(
        keypoints=whole.keypoints[:, :points],
        scores=whole.scores[:, :points],
        boxes_xyxy=whole.boxes_xyxy,
        box_scores=whole.box_scores,
        image_size=whole.image_size,
    )


def written(folder, results, format, **options):
    path = save(results, folder / "poses.json", format=format, **options)
    return json.loads(path.read_bytes())


def with_absent_points() -> PoseResult:
    result = full()
    keypoints = result.keypoints.copy()
    keypoints[0, 5] = np.nan
    keypoints[1, 7, 0] = np.nan
    return PoseResult(
        keypoints=keypoints, scores=result.scores, notes=("alpha was dropped",), source="b.png"
    )


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_schemas_are_schemas(name):
    Draft202012Validator.check_schema(VALIDATORS[name].schema)


def test_every_format_that_is_json_has_a_schema():
    assert {name for name, each in FORMATS.items() if each.ending == ".json"} == set(SCHEMA_NAMES)
    with pytest.raises(InvalidArgumentError, match="no JSON Schema is called 'npz'"):
        json_schema("npz")


@pytest.mark.parametrize("points", LAYOUTS)
@pytest.mark.parametrize(
    ("format", "options"),
    [
        ("json", {}),
        ("openpose", {"body": 18}),
        ("openpose", {"body": 25, "confidence": "binary", "pupils": "eyes", "source": "path"}),
        ("openpose", {"body": 133}),
        ("openpose", {"canvas_size": 512}),
        ("coco", {}),
        ("coco", {"bbox": True}),
        ("coco-dataset", {"layout": "one-list"}),
    ],
)
def test_every_layout_and_option(tmp_path, points, format, options):
    VALIDATORS[format].validate(written(tmp_path, of_layout(points), format, **options))


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_everything_nothing_and_nobody(tmp_path, name):
    nobody = PoseResult.empty(image_size=(64, 48), source="a.png")
    for result in (full(), ramp(1), with_absent_points(), nobody, PoseResult.empty()):
        VALIDATORS[name].validate(written(tmp_path, result, name))
    if name != "openpose":
        VALIDATORS[name].validate(written(tmp_path, [full(), nobody], name))
        VALIDATORS[name].validate(written(tmp_path, [], name))


@settings(max_examples=25, deadline=None)
@given(result=pose_results(points_of=(133, 17, 23, 26)))
def test_any_results_as_json(tmp_path_factory, result):
    folder = tmp_path_factory.mktemp("json")
    finite = all(
        each is None or not np.isinf(each).any()
        for each in (result.keypoints, result.boxes_xyxy, result.box_scores)
    )
    if finite:
        VALIDATORS["json"].validate(written(folder, result, "json"))


def test_lines_of_a_clip(tmp_path):
    path = tmp_path / "clip.jsonl"
    log = FrameLog(path)
    log.write(0, 0.0, full())
    log.write(1, None, with_absent_points())
    log.write_damaged(2, 0.08, "torn")
    log.close()
    frame = VALIDATORS["json"].evolve(schema={**VALIDATORS["json"].schema, "$ref": "#/$defs/frame"})
    for line in path.read_text().splitlines():
        VALIDATORS["json"].validate(json.loads(line))
        frame.validate(json.loads(line))
    for key in ("frame", "time_s", "persons"):
        assert not frame.is_valid({each: v for each, v in json.loads(line).items() if each != key})
    persons = json.loads(path.read_text().splitlines()[0])["persons"]
    assert not VALIDATORS["json"].is_valid({**json.loads(line), "persons": persons})  # damaged


def test_what_the_command_prints_and_writes(astronaut, tmp_path, capsys):
    formats = ",".join(SCHEMA_NAMES)
    options = ["--out", str(tmp_path), "--format", formats, "--draw", "none", "--json", "--quiet"]
    assert main([str(astronaut), *options]) == 0
    VALIDATORS["json"].validate(json.loads(capsys.readouterr().out))
    names = ("astronaut.json", "astronaut_keypoints.json", "results_coco.json", "dataset_coco.json")
    for name, file_name in zip(SCHEMA_NAMES, names, strict=True):
        document = json.loads((tmp_path / file_name).read_bytes())
        VALIDATORS[name].validate(document)
        assert len(json.dumps(document)) > 1000  # somebody is there


@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_the_command_prints_a_schema(name, capsys):
    with pytest.raises(SystemExit) as done:
        main(["--schema", name])
    assert done.value.code == 0
    assert capsys.readouterr().out == json_schema(name)


def changes(value, path=()):
    """Yields the places of all keys of a document and of the lists of numbers in it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield (*path, key)
            yield from changes(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from changes(value[0], (*path, 0))


OPTIONAL = {"file_name", "canvas_width", "canvas_height", "score", "track_id"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCHEMA_NAMES)
def test_what_is_damaged_is_refused(tmp_path, name):
    document = written(tmp_path, full(), name)
    places = list(changes(document))
    assert len(places) >= 8
    for *path, key in places:
        for damage in ("gone", "unknown", "of another type"):
            damaged = copy.deepcopy(document)
            holder = damaged
            for step in path:
                holder = holder[step]
            if damage == "gone":
                if key in OPTIONAL and (name, key) != ("coco", "score"):
                    continue
                del holder[key]
            elif damage == "unknown":
                holder["unknown"] = 1
            else:
                holder[key] = {"another": "type"}
            assert not VALIDATORS[name].is_valid(damaged), (path, key, damage)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("json", "keypoints"),
        ("json", "scores"),
        ("json", "box_xyxy"),
        ("openpose", "pose_keypoints_2d"),
        ("openpose", "hand_left_keypoints_2d"),
        ("coco", "face_kpts"),
        ("coco-dataset", "keypoints"),
        ("coco-dataset", "bbox"),
    ],
)
def test_lists_have_their_lengths(tmp_path, name, field):
    document = written(tmp_path, full(), name)
    persons = document if isinstance(document, list) else None
    for key in ("persons", "people", "annotations"):
        persons = document[key] if persons is None and key in document else persons
    persons[1][field].pop()
    assert not VALIDATORS[name].is_valid(document)
