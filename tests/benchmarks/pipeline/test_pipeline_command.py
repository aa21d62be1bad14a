"""The whole command with the bundled networks, a few rounds of it."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import numpy as np
import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.peers import baselines as rivals
from dwpose_infer.benchmarks.peers.agreement import DisagreementError
from dwpose_infer.benchmarks.peers.montage import write_montages
from dwpose_infer.benchmarks.peers.networks import official_files
from dwpose_infer.benchmarks.pipeline import memory, timing
from dwpose_infer.benchmarks.pipeline.result import PipelineDocument
from dwpose_infer.detector import DetectorOptions
from dwpose_infer.errors import InferenceError, InputError, InvalidArgumentError
from dwpose_infer.files.document import read_document
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, get_spec

HAS_RTMLIB = importlib.util.find_spec("rtmlib") is not None
POSE, DETECTOR = DEFAULT_POSE, DEFAULT_DETECTOR


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    return official_files(folder, pose=POSE, detector=DETECTOR)


def test_whole_run(tmp_path, astronaut, capsys, monkeypatch):
    (tmp_path / "pictures").mkdir()
    shutil.copy(astronaut, tmp_path / "pictures")
    path = tmp_path / "pipeline.json"
    arguments = ["--persons", "2", "--repeats", "2", "--threads", "1", "--no-memory"]
    arguments += ["--pictures", str(tmp_path / "pictures"), "--json", str(path)]
    assert cli.main(["pipeline", *arguments]) == 0
    printed = capsys.readouterr().out

    document = read_document(path, PipelineDocument)
    assert (document.pose, document.detector) == (POSE, DETECTOR)
    assert (document.crop_wh, document.detector_wh) == ((192, 256), (416, 416))
    own = get_spec("yolox-nano-person-bundled").score_threshold
    assert document.score_threshold == own != DetectorOptions().score_threshold
    assert not document.random_weights
    expected = set(rivals.METHODS) - (set() if HAS_RTMLIB else {rivals.RTMLIB})
    two, folder = document.rows
    assert (two.persons_shown, two.persons, two.pictures) == (2, 2, 1)
    assert (folder.workload, folder.persons, folder.pictures) == ("folder", 1, 1)
    for row in document.rows:
        assert set(row.times) == expected
        assert list(row.stages_ms) == list(timing.STAGES)
        assert all(spent_ms > 0 for spent_ms in row.stages_ms.values())
        assert row.agreement >= 0.98
        assert row.peak_mb == {}
        for name, times in row.times.items():
            assert min(times.outside_ms, times.networks_ms) > 0
            if name != rivals.OURS:
                ours = row.times[rivals.OURS]
                assert row.ratios[name] == pytest.approx(ours.total_ms / times.total_ms)
    assert "| **dwpose_infer** |" in printed

    monkeypatch.setattr(timing, "measure_pictures", lambda *_, **__: pytest.fail("it measures"))
    assert cli.main(["pipeline", "--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.skipif(not HAS_RTMLIB, reason="rtmlib is not installed")
def test_the_wrong_order_of_channels_is_noticed(files, tmp_path, monkeypatch):
    monkeypatch.setattr(rivals.Picture, "of", classmethod(lambda cls, bgr: cls(bgr, bgr)))
    with pytest.raises(DisagreementError, match=r"000_2_persons\.jpg: only"):
        measure(files, write_montages(tmp_path, [2]))


def measure(files, paths):
    return timing.measure_pictures(
        files, paths, threads=1, score_threshold=0.4, repeats=1, title="test"
    )


def test_nothing_is_timed_when_a_method_finds_other_points(files, tmp_path, monkeypatch):
    honest = rivals.OfficialRecipe.__call__
    monkeypatch.setattr(
        rivals.OfficialRecipe, "__call__", lambda self, picture: honest(self, picture) + 9.0
    )
    with pytest.raises(DisagreementError, match="of the points of official recipe"):
        measure(files, write_montages(tmp_path, [1]))


def test_nobody_on_the_pictures(files, tmp_path):
    import cv2

    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(InputError, match="finds nobody"):
        measure(files, [path])


@pytest.mark.parametrize("method", [rivals.OURS, rivals.OFFICIAL])
def test_memory_in_a_process_of_its_own(files, tmp_path, method):
    task = memory.MemoryTask(
        method=method,
        files=files,
        pictures=tuple(write_montages(tmp_path, [2])),
        threads=1,
        score_threshold=0.4,
    )
    used = memory.in_fresh_process(task)
    assert used.persons == 2
    assert 60 < used.peak_mb < 1500  # Python with NumPy, OpenCV and ONNX Runtime, two networks


def test_a_process_that_fails_is_told(files, tmp_path):
    task = memory.MemoryTask(
        method=rivals.OURS,
        files=files,
        pictures=(tmp_path / "missing.jpg",),
        threads=1,
        score_threshold=0.4,
    )
    with pytest.raises(InferenceError, match=r"memory of dwpose_infer failed: .*missing.jpg"):
        memory.in_fresh_process(task)


def test_models_of_the_other_kind(tmp_path):
    with pytest.raises(InvalidArgumentError, match="is a pose model, here goes a detector"):
        official_files(tmp_path, pose=POSE, detector=POSE)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--persons", "11"], 2, "1 to 10 persons"),
        (["--repeats", "0"], 2, "--repeats is 0"),
        (["--threads", "0"], 2, "--threads is 0"),
        (["--score-threshold", "2"], 2, "score_threshold is 2"),
        (["--pose", "no-such-model"], 4, "no-such-model"),
        (["--random-weights", "no-such-model"], 4, "no published network"),
        (["--from", "missing.json"], 1, "no such file"),
    ],
)
def test_errors_are_told_without_a_traceback(arguments, status, message, capsys):
    assert cli.main(["pipeline", *arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith("dwpose-bench pipeline: error:")
    assert message in error


def test_rtmlib_missing(files, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    measured = measure(files, write_montages(tmp_path, [1]))
    assert set(measured.times) == {rivals.OURS, rivals.OFFICIAL}
