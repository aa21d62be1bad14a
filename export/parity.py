"""The parity gate: an exported network must do what its source does, or it is not kept.

Source and result run on the same real pictures. Poses are compared in the user's unit, pixels
of the crop, over the points on which the source itself is sure; detectors by their boxes; and
the raw outputs of both besides. A network that is sure of nothing (random weights) cannot be
judged by its points; then the gate fails, unless it is told that raw outputs are enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from ..arrays import Array, UInt8Array
from ..detector import PERSON_CLASS, decode_yolox
from ..nms import nms
from ..simcc import decode_simcc
from .comparison import (
    BoxDifference,
    PointDifference,
    RawDifference,
    compare_boxes,
    compare_points,
    compare_raw,
)
from .deploy import DEPLOY_INPUTS
from .graph import network_inputs
from .limits import DEVICE_LIMITS, LIMITS, MIN_SHARE, Limits
from .metadata import Form, Precision
from .parity_report import BODY_P99_PX, P99_PX, SCORE_P99, WORST_PX, ParityReport
from .pictures import official_input
from .running import GraphRunner
from .sources import Source

BOX_THRESHOLD = 0.3
NMS_THRESHOLD = 0.45
"""As in `dwpose_infer.detector.DetectorOptions`."""

Runner = Callable[[dict[str, Array]], dict[str, Array]]

RUN_BATCH = 8

DECODE_PX = 1e-3
"""Decoding inside a deploy graph against the same decoding in NumPy, in pixels of the input."""


def check_parity(
    source: Source,
    result: onnx.ModelProto,
    samples: UInt8Array,
    *,
    form: Form,
    precision: Precision,
    allow_undecided: bool = False,
) -> ParityReport:
    """Runs source and result on pictures and judges the differences.

    Args:
        source: What was exported.
        result: What came out.
        samples: (N, H, W, 3) uint8 BGR, of the network's input size.
        form: Form of the result.
        precision: Precision of the result, chooses the limits.
        allow_undecided: Where points or boxes decide nothing, let raw outputs decide.

    Returns:
        The report; it passed where `violations` is empty, see `require_parity`.

    Raises:
        InferenceError: One of the two failed while it ran.
        ModelFormatError: The result cannot be loaded.
    """
    pieces = _pieces(samples)
    expected = _expected(source, pieces)
    outputs, raw_outputs = _run_result(source, result, pieces, form)
    return _judge(
        source,
        expected,
        outputs,
        form=form,
        precision=precision,
        limits=LIMITS[precision],
        samples=len(samples),
        raw=compare_raw(expected, raw_outputs),
        decode_px=_decode_difference(source, outputs, raw_outputs) if form == "deploy" else None,
        raw_binds=precision == "fp32",
        allow_undecided=allow_undecided,
    )


def check_device_parity(
    source: Source,
    run: Runner,
    samples: UInt8Array,
    *,
    form: Form,
    precision: Precision,
    device: str,
    allow_undecided: bool = False,
) -> ParityReport:
    """Judges a network on the device where it will serve, into which nobody can look there.

    Every picture is run alone, as a single person is, and then all of them in batches: a GPU takes
    other kernels for them. The raw outputs of a deploy graph are hidden; where points or boxes
    decide nothing, the scores of all points, or of all boxes handed over, stand for them.

    Args:
        source: What the network was made of; it runs in float32 on the CPU.
        run: Runs the network on the device: inputs by name -> outputs by name.
        samples: (N, H, W, 3) uint8 BGR, of the network's input size.
        form: Form of the network.
        precision: Its precision, chooses the limits.
        device: The device in words, for the report.
        allow_undecided: Where points or boxes decide nothing, let the raw outputs or scores decide.

    Returns:
        The report; it passed where `violations` is empty, see `require_parity`.

    Raises:
        InferenceError: Network or source failed while it ran.
    """
    together = _pieces(samples)
    once = _expected(source, together)
    expected = _joined([once, once])
    pieces = [*(samples[index : index + 1] for index in range(len(samples))), *together]
    if form == "deploy":
        outputs = _joined([run({DEPLOY_INPUTS[source.kind]: piece}) for piece in pieces])
        scores = {"scores": _scores_of(source, expected, outputs["scores"].shape[1])}
        raw = compare_raw(scores, {"scores": outputs["scores"]})
    else:
        (fed,) = network_inputs(source.model)
        outputs = _joined([run({fed.name: official_input(source.kind, piece)}) for piece in pieces])
        raw = compare_raw(expected, outputs)
    report = _judge(
        source,
        expected,
        outputs,
        form=form,
        precision=precision,
        limits=DEVICE_LIMITS[precision],
        samples=2 * len(samples),
        raw=raw,
        decode_px=None,
        raw_binds=False,
        allow_undecided=allow_undecided,
    )
    return replace(report, device=device)


def _pieces(samples: UInt8Array) -> list[UInt8Array]:
    return [samples[start : start + RUN_BATCH] for start in range(0, len(samples), RUN_BATCH)]


def _expected(source: Source, pieces: list[UInt8Array]) -> dict[str, Array]:
    return _joined([source.reference(official_input(source.kind, piece)) for piece in pieces])


def _judge(
    source: Source,
    expected: dict[str, Array],
    outputs: dict[str, Array],
    *,
    form: Form,
    precision: Precision,
    limits: Limits,
    samples: int,
    raw: dict[str, RawDifference],
    decode_px: float | None,
    raw_binds: bool,
    allow_undecided: bool,
) -> ParityReport:
    points: PointDifference | None = None
    boxes: BoxDifference | None = None
    if source.kind == "pose":
        expected_points = decode_simcc(expected["simcc_x"], expected["simcc_y"])
        got = _pose_of(outputs, form)
        points = compare_points(expected, expected_points, got)
    else:
        size = source.input_size_wh
        boxes = compare_boxes(
            _persons_of(expected, "official", size),
            _persons_of(outputs, form, size),
            threshold=BOX_THRESHOLD,
            score_tolerance=limits.box_score,
            input_side=max(size),
        )
    undecided = _why_undecided(points, boxes)
    violations = _violations(
        limits,
        raw,
        points=points,
        boxes=boxes,
        decode_px=decode_px,
        input_side=max(source.input_size_wh),
        raw_binds=raw_binds or undecided is not None,
    )
    if undecided and not allow_undecided:
        violations.append(f"not decidable: {undecided}")
    return ParityReport(
        form, precision, samples, raw, points, boxes, decode_px, undecided,
        tuple(violations), limits,
    )  # fmt: skip


def _run_result(
    source: Source, result: onnx.ModelProto, pieces: list[UInt8Array], form: Form
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Outputs of the result, and its raw outputs as far as they can be seen."""
    if form == "official":
        (fed,) = network_inputs(result)
        with GraphRunner(result) as run:
            outputs = _joined(
                [run({fed.name: official_input(source.kind, piece)}) for piece in pieces]
            )
        return outputs, outputs
    name = DEPLOY_INPUTS[source.kind]
    with GraphRunner(result) as run:
        outputs = _joined([run({name: piece}) for piece in pieces])
    hidden = [value.name for value in source.model.graph.output]
    with GraphRunner(_with_outputs(result, hidden)) as run:
        seen = _joined([run({name: piece}) for piece in pieces])
    return outputs, {name: seen[name] for name in hidden if name in seen}


def _with_outputs(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A copy that returns inner tensors too, those of the names that exist."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    made = {name for node in model.graph.node for name in node.output}
    opened.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name in made)
    return opened


def _joined(runs: list[dict[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def _pose_of(outputs: dict[str, Array], form: Form) -> tuple[Any, Any]:
    if form == "deploy":
        return outputs["keypoints"], outputs["scores"]
    return decode_simcc(
        outputs["simcc_x"].astype(np.float32), outputs["simcc_y"].astype(np.float32)
    )


def _persons_of(
    outputs: dict[str, Array], form: Form, input_size_wh: tuple[int, int]
) -> list[tuple[Any, Any]]:
    """Boxes and scores on each picture after suppression."""
    found = []
    for index in range(len(next(iter(outputs.values())))):
        if form == "deploy":
            boxes, scores = outputs["boxes_xyxy"][index], outputs["scores"][index]
            boxes, scores = boxes[scores > BOX_THRESHOLD], scores[scores > BOX_THRESHOLD]
        else:
            boxes, scores = decode_yolox(
                outputs["output"][index].astype(np.float32),
                input_size_wh=input_size_wh,
                score_threshold=BOX_THRESHOLD,
            )
        kept = nms(boxes, scores, iou_threshold=NMS_THRESHOLD)
        found.append((boxes[kept], scores[kept]))
    return found


def _scores_of(source: Source, expected: dict[str, Array], count: int) -> Array:
    """Scores of the source as a deploy graph gives them: every point's, or the best boxes'."""
    if source.kind == "pose":
        return decode_simcc(expected["simcc_x"], expected["simcc_y"])[1]
    rows = expected["output"]
    scores = rows[..., 4] * rows[..., 5 + PERSON_CLASS]
    best: Array = -np.sort(-scores, axis=1)[:, :count]
    return best


def _decode_difference(
    source: Source, outputs: dict[str, Array], raw_outputs: dict[str, Array]
) -> float | None:
    """Decoding in the graph against NumPy's on the same raw outputs, largest in pixels."""
    if len(raw_outputs) != len(source.model.graph.output):
        return None
    raw = {name: array.astype(np.float32) for name, array in raw_outputs.items()}
    if source.kind == "pose":
        keypoints, scores = decode_simcc(raw["simcc_x"], raw["simcc_y"])
        differences = [outputs["keypoints"] - keypoints, outputs["scores"] - scores]
    else:
        differences = []
        for index, rows in enumerate(raw["output"]):
            boxes, scores = decode_yolox(
                rows, input_size_wh=source.input_size_wh, score_threshold=-1.0
            )
            order = np.argsort(-scores, kind="stable")[: outputs["scores"].shape[1]]
            sure = scores[order] > BOX_THRESHOLD  # below it, equal scores are many
            differences += [
                (outputs["boxes_xyxy"][index] - boxes[order])[sure],
                (outputs["scores"][index] - scores[order])[sure],
            ]
    worst = max((float(np.abs(array).max()) for array in differences if array.size), default=0.0)
    return worst if math.isfinite(worst) else math.inf


def _why_undecided(points: PointDifference | None, boxes: BoxDifference | None) -> str | None:
    if points is not None and points.share < MIN_SHARE:
        return (
            f"the source is sure of {points.share:.0%} of the points only; at least "
            f"{MIN_SHARE:.0%} are needed"
        )
    if boxes is not None and not boxes.source_boxes:
        return "the source finds nobody on the pictures"
    return None


def _violations(
    limits: Limits,
    raw: dict[str, RawDifference],
    *,
    points: PointDifference | None,
    boxes: BoxDifference | None,
    decode_px: float | None,
    input_side: int,
    raw_binds: bool,
) -> list[str]:
    checks: list[tuple[str, float | None, float]] = []
    if raw_binds:
        for name, difference in raw.items():
            checks.append((f"raw {name}", difference.largest, limits.raw))
            checks.append((f"raw {name} (rms)", difference.rms, limits.raw_rms))
    if points is not None:
        together, body = points.parts["all"], points.parts["body"]
        checks += [
            ("median distance in px", together.median_px, limits.median_px),
            (P99_PX, together.p99_px, limits.p99_px),
            (BODY_P99_PX, body.p99_px, limits.body_p99_px),
            (WORST_PX, together.worst_px, limits.worst_px),
            (SCORE_P99, points.score_p99, limits.score),
        ]
    if boxes is not None:
        checks += [
            ("boxes that only one of the two finds", float(boxes.clearly_unmatched), 0.0),
            (
                "worst side of a box in px",
                boxes.worst_px,
                limits.box_px * input_side,
            ),
            ("worst score of a box", boxes.worst_score, limits.box_score),
        ]
    checks.append(("decoding in the graph against NumPy's, in px", decode_px, DECODE_PX))
    return [
        f"{what} is {value:.3g}, the limit is {limit:.3g}"
        for what, value, limit in checks
        if value is not None and not value <= limit
    ]
