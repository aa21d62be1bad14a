"""The whole command with the bundled networks, a few rounds of it."""

from __future__ import annotations

import shutil
import sys

import cv2
import numpy as np
import pytest

from dwpose_infer.benchmarks import cli
from dwpose_infer.benchmarks.peers import baselines as rivals
from dwpose_infer.benchmarks.peers.agreement import DisagreementError
from dwpose_infer.benchmarks.peers.montage import write_montages
from dwpose_infer.benchmarks.peers.networks import official_files
from dwpose_infer.benchmarks.pipeline import timing, worker
from dwpose_infer.benchmarks.pipeline.result import PipelineDocument
from dwpose_infer.detector import DetectorOptions
from dwpose_infer.errors import InferenceError, InputError, InvalidArgumentError
from dwpose_infer.files.document import read_document
from dwpose_infer.images import read_image
from dwpose_infer.zoo import DEFAULT_DETECTOR, DEFAULT_POSE, get_spec

POSE, DETECTOR = DEFAULT_POSE, DEFAULT_DETECTOR


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("official")
    return official_files(folder, pose=POSE, detector=DETECTOR)


@pytest.mark.slow
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
    expected = set(rivals.installed_methods())
    assert document.blocks == 2
    two, folder = document.rows
    assert (two.persons_shown, two.persons, two.pictures) == (2, 2, 1)
    assert (folder.workload, folder.persons, folder.pictures) == ("folder", 1, 1)
    for row in document.rows:
        assert set(row.times) == expected
        assert list(row.stages_ms) == list(worker.STAGES)
        assert all(spent_ms > 0 for spent_ms in row.stages_ms.values())
        assert row.agreement >= 0.98
        assert row.peak_mb == {}
        for name, times in row.times.items():
            assert min(times.outside_ms, times.networks_ms, times.cpu_ms) > 0
            if name != rivals.OURS:
                ours = row.times[rivals.OURS]
                assert row.ratios[name] == pytest.approx(ours.total_ms / times.total_ms)
    assert "| **dwpose_infer** |" in printed

    monkeypatch.setattr(timing, "measure_pictures", lambda *_, **__: pytest.fail("it measures"))
    assert cli.main(["pipeline", "--from", str(path)]) == 0
    assert capsys.readouterr().out == printed


def measure(files, paths, *, memory=False):
    return timing.measure_pictures(
        files,
        paths,
        shown=None,
        threads=1,
        score_threshold=0.4,
        repeats=1,
        memory=memory,
    )


def found_by(method, files, paths):
    """What a method of this process finds."""
    pictures = [rivals.Picture.of(read_image(path)) for path in paths]
    if method == rivals.OURS:
        with rivals.open_method(method, files, threads=1, score_threshold=0.4) as predictor:
            results = predictor([picture.bgr for picture in pictures])
        keypoints, boxes = zip(
            *((each.keypoints, each.boxes_xyxy) for each in results), strict=True
        )
    else:
        opened = rivals.open_method(method, files, threads=1, score_threshold=0.4)
        keypoints, boxes = [opened(picture) for picture in pictures], []
    return worker.PipelineReady(
        keypoints=[each.tolist() for each in keypoints],
        boxes_xyxy=[each.tolist() for each in boxes],
        peak_mb=None,
    )


@pytest.mark.slow
def test_the_wrong_order_of_channels_is_noticed(files, tmp_path, monkeypatch):
    paths = write_montages(tmp_path, [2])
    found = {rivals.OURS: found_by(rivals.OURS, files, paths)}
    honest = {**found, rivals.OFFICIAL: found_by(rivals.OFFICIAL, files, paths)}
    assert min(timing.check_all(honest, paths, files.crop_wh).values()) >= 0.98
    monkeypatch.setattr(rivals.Picture, "of", classmethod(lambda cls, bgr: cls(bgr, bgr)))
    found[rivals.OFFICIAL] = found_by(rivals.OFFICIAL, files, paths)
    with pytest.raises(DisagreementError, match=r"000_2_persons\.jpg: only"):
        timing.check_all(found, paths, files.crop_wh)


@pytest.mark.slow
def test_nothing_is_timed_when_a_method_finds_other_points(files, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "installed_methods", lambda _device: [rivals.OURS, rivals.OFFICIAL])
    monkeypatch.setattr("dwpose_infer.benchmarks.peers.agreement.AGREEMENT_SHARE", 1.1)
    with pytest.raises(DisagreementError, match="% of the points of dwpose_infer are where"):
        measure(files, write_montages(tmp_path, [1]))


@pytest.mark.slow
def test_nobody_on_the_pictures(files, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "installed_methods", lambda _device: [rivals.OURS])
    path = tmp_path / "grey.png"
    cv2.imwrite(str(path), np.full((64, 64, 3), 90, np.uint8))
    with pytest.raises(InputError, match="finds nobody"):
        measure(files, [path])


@pytest.mark.slow
def test_processes_of_their_own(files, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "installed_methods", lambda _device: [rivals.OURS, rivals.OFFICIAL])
    row = measure(files, write_montages(tmp_path, [2]), memory=True)
    assert row.persons == 2
    for name in (rivals.OURS, rivals.OFFICIAL):
        assert row.times[name].cpu_ms > 0
        # Python with NumPy, OpenCV and ONNX Runtime, two networks.
        assert 60 < row.peak_mb[name] < 1500


@pytest.mark.slow
def test_a_process_that_fails_is_told(files, tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "installed_methods", lambda _device: [rivals.OURS])
    with pytest.raises(InferenceError, match=r"measuring dwpose_infer failed: .*missing.jpg"):
        measure(files, [tmp_path / "missing.jpg"])


@pytest.mark.slow
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


def test_what_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "rtmlib", None)
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert rivals.installed_methods() == [rivals.OURS, rivals.OFFICIAL]
