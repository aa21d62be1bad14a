"""The journal of a run: what a crash leaves can be gone on with."""

from __future__ import annotations

import numpy as np
import pytest

from dwpose_infer.errors import InvalidArgumentError, OutputError
from dwpose_infer.evaluation.document import FileFacts, PredictionSettings
from dwpose_infer.evaluation.journal import PredictionJournal, picture_persons, to_predictions


def settings(**changes):
    values = {
        "annotations": FileFacts(name="val.json", sha256="0" * 64),
        "task": "pose",
        "boxes": "labels",
        "boxes_file": None,
        "pose": None,
        "detector": None,
        "flip_test": False,
        "backend": "a fake backend",
        "provider": None,
        "precision": None,
        "score_threshold": None,
        "nms_threshold": None,
        "cut": None,
        "frame_step": 1,
        "limit": None,
        **changes,
    }
    return PredictionSettings(**values)


def picture(image_id: int, count: int = 2):
    rng = np.random.default_rng(image_id)
    return picture_persons(
        image_id,
        ids=range(10, 10 + count),
        boxes_xyxy=rng.random((count, 4), np.float32),
        box_scores=rng.random(count, np.float32),
        areas=rng.random(count, np.float32),
        keypoints=rng.random((count, 133, 2), np.float32),
        scores=rng.random((count, 133), np.float32),
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "metrics.json.partial.jsonl"


def test_a_run_goes_on_where_it_stopped(path):
    with PredictionJournal(path, settings()) as journal:
        journal.add([picture(1), picture(2, count=0)])
    with PredictionJournal(path, settings()) as journal:
        assert journal.done == {1: picture(1), 2: picture(2, count=0)}
        journal.add([picture(3)])
    with PredictionJournal(path, settings()) as journal:
        assert list(journal.done) == [1, 2, 3]
        journal.remove()
    assert not path.exists()


@pytest.mark.parametrize("torn", [1, 30, 5000])
def test_a_torn_line_is_made_again(path, torn):
    with PredictionJournal(path, settings()) as journal:
        journal.add([picture(1), picture(2)])
    data = path.read_bytes()
    path.write_bytes(data[:-torn])
    with PredictionJournal(path, settings()) as journal:
        assert list(journal.done) == [1]
        journal.add([picture(2)])
    assert path.read_bytes() == data


def test_a_torn_first_line_begins_anew(path):
    with PredictionJournal(path, settings()) as journal:
        journal.add([picture(1)])
    path.write_bytes(path.read_bytes()[:20])
    with PredictionJournal(path, settings()) as journal:
        assert journal.done == {}


def test_other_settings_are_refused_and_named(path):
    with PredictionJournal(path, settings()) as journal:
        journal.add([picture(1)])
    with pytest.raises(InvalidArgumentError, match=r"\(flip_test, limit\).*--restart"):
        PredictionJournal(path, settings(flip_test=True, limit=4))
    with PredictionJournal(path, settings(flip_test=True), restart=True) as journal:
        assert journal.done == {}


def test_a_file_of_another_kind_is_not_overwritten(path):
    path.parent.mkdir()
    path.write_text('{"something": "else"}\n')
    with pytest.raises(InvalidArgumentError, match="--restart"):
        PredictionJournal(path, settings())
    assert path.read_text() == '{"something": "else"}\n'


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "deep").write_text("a file")
    with pytest.raises(OutputError, match="cannot write"):
        PredictionJournal(tmp_path / "deep" / "x.jsonl", settings())


def test_every_number_comes_back(path):
    with PredictionJournal(path, settings()) as journal:
        journal.add([picture(1), picture(2, count=0), picture(3, count=1)])
    with PredictionJournal(path, settings()) as journal:
        found = to_predictions([journal.done[number] for number in (3, 2, 1)])
    assert found.image_ids.tolist() == [3, 1, 1] and found.ids.tolist() == [10, 10, 11]
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(found.boxes_xyxy[1:], rng.random((2, 4), np.float32))
    np.testing.assert_array_equal(found.box_scores[1:], rng.random(2, np.float32))
    np.testing.assert_array_equal(found.areas[1:], rng.random(2, np.float32))
    np.testing.assert_array_equal(found.keypoints[1:], rng.random((2, 133, 2), np.float32))
    np.testing.assert_array_equal(found.scores[1:], rng.random((2, 133), np.float32))


def test_no_pictures_are_nobody():
    assert len(to_predictions([])) == 0
