"""The documents: schema, errors, tables, and those that are committed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from dwpose_infer.errors import FormatError, InputError
from dwpose_infer.evaluation.document import EvaluationDocument
from dwpose_infer.evaluation.report import (
    curve_table,
    groups_table,
    points_table,
    readme_table,
    to_markdown,
)
from dwpose_infer.files.document import read_document as read_any
from dwpose_infer.files.document import write_document
from dwpose_infer.keypoints import NUM_KEYPOINTS

RESULTS = Path(__file__).resolve().parent.parent.parent / "benchmarks" / "results"
COMMITTED = sorted(RESULTS.glob("*_val_*.json"))


@pytest.fixture
def plain() -> dict:
    return json.loads((RESULTS / "people_val_pose_1_whole.json").read_text())


def read_document(path):
    return read_any(path, EvaluationDocument)


def save(tmp_path, document):
    path = tmp_path / "metrics.json"
    path.write_text(json.dumps(document))
    return path


def test_results_are_committed_for_poses_detector_and_pipeline():
    tasks = {
        (read_document(path).prediction.task, read_document(path).prediction.boxes)
        for path in COMMITTED
    }
    assert tasks >= {("pose", "labels"), ("pose", "detector"), ("detector", "detector")}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_results_are_whole(path):
    document = read_document(path)
    assert not re.search(r"/(work|home|tmp|root)\b", path.read_text())
    assert document.labels.persons >= (100 if path.stem.startswith("people") else 15)
    if document.parts is not None:
        assert all(-1 <= figures.ap <= 1 for figures in document.parts.values())
        everyone = document.groups[0]
        assert everyone.parts["all"].points <= NUM_KEYPOINTS * everyone.persons
        by_label = [group for group in document.groups if group.by == "label"]
        assert sum(group.persons for group in by_label) == everyone.persons
    assert to_markdown(document).startswith("|")


def test_a_document_comes_back_as_it_was(tmp_path, plain):
    document = read_document(save(tmp_path, plain))
    assert isinstance(document, EvaluationDocument)
    again = write_document(tmp_path / "again.json", document)
    assert read_document(again) == document
    # Fields that came later are left out where they have the value of every earlier evaluation.
    assert json.loads(again.read_text()) == plain


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"benchmark": "latency"}, "the result of 'latency', not of 'accuracy'"),
        ({"schema_version": 2}, "newer release"),
        ({"extra": 1}, "unknown field `extra`"),
        ({"pck_threshold": "much"}, r"pck_threshold"),
        ({"parts": {"body": {"AP": 0.5}}}, "AP .5"),
        ({"parts": {"tail": {}}}, r"parts"),
    ],
)
def test_other_documents_are_refused(tmp_path, plain, change, message):
    with pytest.raises(FormatError, match=message):
        read_document(save(tmp_path, {**plain, **change}))


def test_a_list_is_no_document(tmp_path):
    with pytest.raises(FormatError, match="expected an object"):
        read_document(save(tmp_path, []))


def test_the_card_has_a_row_for_each_kind_of_label(tmp_path, plain):
    document = read_document(save(tmp_path, plain))
    table = points_table([document]).splitlines()
    assert table[0] == (
        "| share of points within 5 % of the box's longer side "
        "| persons | body | feet | face | hands |"
    )
    groups = [group for group in document.groups if group.by == "label"]
    assert len(table) == 2 + len(groups)
    for line, group in zip(table[2:], groups, strict=True):
        assert f", {group.name} | {group.persons} | {group.parts['body'].pck:.3f} |" in line


def test_a_pattern_reads_all_results_in_the_order_of_their_names(tmp_path, plain):
    for name in ("b", "a"):
        other = {**plain, "prediction": {**plain["prediction"], "flip_test": name == "b"}}
        (tmp_path / f"people_{name}.json").write_text(json.dumps(other))
    lines = readme_table(tmp_path / "people_*.json").splitlines()[2:]
    flipped = ["flip test" in line for line in lines]
    assert flipped == sorted(flipped) and 0 < sum(flipped) < len(flipped)
    with pytest.raises(InputError, match="no file has such a name"):
        readme_table(tmp_path / "none_*.json")


def test_curves_of_detectors_stand_side_by_side():
    lines = curve_table(RESULTS / "everyday_val_detector_[13]_*.json").splitlines()
    assert lines[0] == (
        "| score above | `yolox-nano-person-bundled`: recall | precision "
        "| `teacher-yolox_nano.onnx`: recall | precision |"
    )
    rows = {line.split(" | ")[0]: line for line in lines[2:]}
    ours, teacher = (
        read_document(RESULTS / f"everyday_val_detector_{name}.json").detector.thresholds
        for name in ("1_whole", "3_teacher_whole")
    )
    for mine, other in zip(ours, teacher, strict=True):
        row = rows[f"| {mine.score:g}"]
        assert f" | {mine.recall:.3f} | " in row and f" | {other.recall:.3f} | " in row


def test_kinds_of_persons_make_rows(tmp_path, plain):
    path = save(tmp_path, plain)
    title, _, *lines = groups_table(path, by="kind").splitlines()
    assert title == "`dwpose-s-bundled` on labelled boxes:"
    names = [line.split(" | ")[0].strip("| ") for line in lines[2:]]
    assert names == ["all", "standing", "sitting", "portrait", "crowd", "from behind"]
    with pytest.raises(InputError, match="no file has such a name"):
        groups_table(tmp_path / "none_*.json", by="kind")


def test_collections_make_rows():
    table = groups_table(RESULTS / "everyday_unseen_*.json", by="source")
    assert table.count("| Penn-Fudan | 192 |") == 2
    assert "| COCO 2017 | 79 |" in table and "| samples |" in table and "standing" not in table


def test_the_layout_has_a_json_schema():
    schema = msgspec.json.schema(EvaluationDocument)
    fields = schema["$defs"]["EvaluationDocument"]["properties"]
    assert fields["schema_version"] == {"enum": [1], "default": 1}
    assert {"AP", "AP .5", "AR (L)"} <= set(schema["$defs"]["CocoFigures"]["properties"])
