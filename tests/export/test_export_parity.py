from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import numpy_helper

from dwpose_infer.errors import ParityError
from dwpose_infer.export.comparison import (
    compare_boxes,
    compare_points,
    compare_raw,
    has_clear_peak,
)
from dwpose_infer.export.deploy import to_deploy_detector, to_deploy_pose
from dwpose_infer.export.graph import rename_tensor
from dwpose_infer.export.parity import check_parity
from dwpose_infer.export.parity_report import require_parity
from dwpose_infer.export.pictures import shipped_samples


def check(source, result, form="deploy", precision="fp32", **options):
    samples = shipped_samples(source.kind, source.input_size_wh)
    return check_parity(source, result, samples, form=form, precision=precision, **options)


def scale_weight(model, factor, rank=4, position=3):
    """Changes one convolution of a network."""
    weights = [tensor for tensor in model.graph.initializer if len(tensor.dims) == rank]
    weight = weights[position]
    value = numpy_helper.to_array(weight) * np.float32(factor)
    weight.CopyFrom(numpy_helper.from_array(value, weight.name))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["official", "deploy"])
def test_a_faithful_export_passes(pose_source, form):
    model = pose_source.model if form == "official" else to_deploy_pose(pose_source.model)
    report = check(pose_source, model, form)
    require_parity(report)
    assert report.undecided is None
    assert report.points.share > 0.2
    assert report.points.parts["all"].worst_px == 0
    assert set(report.points.parts) >= {"all", "body", "feet", "face", "left_hand", "fingers"}
    assert (report.decode_px is None) == (form == "official")
    assert "Infinity" not in json.dumps(report.to_json(), allow_nan=False)
    assert any("compared" in line for line in report.summary())


def test_swapped_outputs_are_noticed(pose_source, copied):
    model = copied(pose_source.model)
    for old, new in (("simcc_x", "other"), ("simcc_y", "simcc_x"), ("other", "simcc_y")):
        rename_tensor(model, old, new)
    report = check(pose_source, model, "official")
    assert report.raw["simcc_x"].largest == float("inf")
    json.dumps(report.to_json(), allow_nan=False)
    with pytest.raises(ParityError, match="p99 distance"):
        require_parity(report)


def test_swapped_axes_in_the_decoding_are_noticed(pose_source):
    model = to_deploy_pose(pose_source.model)
    (concat,) = (node for node in model.graph.node if list(node.output) == ["decode/bins"])
    concat.input[:] = list(concat.input)[::-1]
    with pytest.raises(ParityError, match="decoding in the graph"):
        require_parity(check(pose_source, model))


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16-stored", "fp16", "int8"])
def test_a_damaged_weight_is_noticed_in_every_precision(pose_source, precision):
    model = to_deploy_pose(pose_source.model)
    scale_weight(model, 1.5 if precision != "fp32" else 1.005)
    with pytest.raises(ParityError, match="the limit is"):
        require_parity(check(pose_source, model, precision=precision))


def test_a_colour_order_that_is_wrong_is_noticed(pose_source):
    model = to_deploy_pose(pose_source.model)
    mean = next(t for t in model.graph.initializer if t.name == "preprocess/mean")
    mean.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(mean)[::-1].copy(), mean.name))
    with pytest.raises(ParityError):
        require_parity(check(pose_source, model))


@pytest.mark.slow
def test_detectors_are_compared_by_their_boxes(detector_source):
    report = check(detector_source, to_deploy_detector(detector_source.model))
    require_parity(report)
    assert report.boxes.matched == report.boxes.source_boxes >= 3
    broken = to_deploy_detector(detector_source.model)
    scale_weight(broken, 2, position=40)
    with pytest.raises(ParityError):
        require_parity(check(detector_source, broken, precision="int8"))


@pytest.mark.slow
def test_a_source_that_is_sure_of_nothing_decides_nothing(pose_source):
    def unsure(pictures):
        return {name: value / 100 for name, value in pose_source.reference(pictures).items()}

    source = replace(pose_source, reference=unsure)
    report = check(source, pose_source.model, "official")
    with pytest.raises(ParityError, match=r"not decidable.*--allow-undecided"):
        require_parity(report)
    allowed = check(source, pose_source.model, "official", allow_undecided=True)
    with pytest.raises(ParityError, match="raw simcc_x"):  # the raw outputs decide, and differ
        require_parity(allowed)


def test_small_outputs_do_not_hide_differences(rng):
    source = {"a": rng.normal(size=(1, 5, 50)) * 1e-6}
    raw = compare_raw(source, {"a": rng.normal(size=(1, 5, 50)) * 1e-6})
    assert raw["a"].largest < 1e-5 < 0.5 < raw["a"].rms


def test_a_missing_output_is_infinitely_far():
    assert compare_raw({"a": np.zeros(3)}, {})["a"].largest == float("inf")
    assert compare_raw({"a": np.zeros(3)}, {"a": np.full(3, np.nan)})["a"].rms == float("inf")


@pytest.mark.parametrize(
    ("heights", "clear"),
    [
        ({20: 1.0}, True),
        ({20: 1.0, 50: 0.9}, True),
        ({20: 1.0, 50: 0.95}, False),
        ({20: 1.0, 22: 0.95}, True),
        ({20: 1.0, 21: 0.96, 22: 0.95, 23: 0.94}, True),  # the flank of one broad peak
        ({20: 1.0, 24: 0.95}, False),
    ],
)
def test_second_peaks(heights, clear):
    simcc = np.zeros((1, 1, 64), np.float32)
    for place, height in heights.items():
        simcc[0, 0, place] = height
    assert bool(has_clear_peak(simcc)[0, 0]) is clear


def test_only_sure_points_are_compared():
    simcc = np.zeros((1, 133, 8), np.float32)
    simcc[..., 3] = 1
    keypoints = np.zeros((1, 133, 2), np.float32)
    scores = np.full((1, 133), 0.1, np.float32)
    scores[0, [0, 92]] = 1
    moved = keypoints.copy()
    moved[0, 92] = 3, 4
    moved[0, 5] = 100
    difference = compare_points(
        {"simcc_x": simcc, "simcc_y": simcc}, (keypoints, scores), (moved, scores)
    )
    assert difference.share == pytest.approx(2 / 133)
    assert difference.parts["fingers"].worst_px == 5
    assert difference.parts["body"].worst_px == 0
    assert difference.parts["feet"].median_px is None


def test_boxes_that_only_one_finds():
    box = np.array([[0, 0, 10, 10]], np.float32)
    none = (np.zeros((0, 4), np.float32), np.zeros(0, np.float32))

    def compare(score, other):
        return compare_boxes(
            [(box, np.array([score], np.float32))],
            [other],
            threshold=0.3,
            score_tolerance=0.02,
            input_side=416,
        )

    assert compare(0.9, none).clearly_unmatched == 1
    assert compare(0.31, none).clearly_unmatched == 0
    found = compare(0.9, (box + 1, np.array([0.8], np.float32)))
    assert (found.matched, found.worst_px) == (1, 1)
    assert found.worst_score == pytest.approx(0.1)


@pytest.mark.parametrize(("side", "counted"), [(100, 2.0), (416, 2.0), (832, 1.0)])
def test_a_box_larger_than_the_input_counts_as_if_shrunk_to_it(side, counted):
    box, score = np.array([[0, 0, side, 50]], np.float32), np.array([0.9], np.float32)
    moved = box + np.float32(2)
    difference = compare_boxes(
        [(box, score)], [(moved, score)], threshold=0.3, score_tolerance=0.02, input_side=416
    )
    assert difference.worst_px == pytest.approx(counted)
