"""The networks of an evaluation, loaded, and the facts about them that a document keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from .. import zoo
from ..detector import Detector
from ..estimator import PoseEstimator
from ..files.atomic import sha256_of
from ..pipeline import Pipeline, detector_options, open_pipeline
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .detection import DETECTION_NMS_THRESHOLD, DETECTION_SCORE_THRESHOLD
from .document import ModelFacts
from .options import EvaluationOptions


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModels:
    """Loaded networks.

    Attributes:
        pipeline: The networks: no detector where boxes are given, no pose network for the
            detector alone.
        detector_facts: What the detector is.
        pose_facts: What the pose network is.
        backend: Runtime and device in words.
    """

    pipeline: Pipeline
    detector_facts: ModelFacts | None
    pose_facts: ModelFacts | None
    backend: str


@contextlib.contextmanager
def load_models(options: EvaluationOptions) -> Iterator[LoadedModels]:
    """Loads the networks and frees them at the end.

    Raises:
        DwposeError: A model cannot be had, or cannot be used as asked; see `Predictor`.
    """
    alone = options.task == "detector"
    pose = options.pose or DEFAULT_POSE
    chosen = options.detector or DEFAULT_DETECTOR
    thresholds = detector_options(
        chosen,
        score_threshold=_or(options.score_threshold, DETECTION_SCORE_THRESHOLD if alone else None),
        nms_threshold=_or(options.nms_threshold, DETECTION_NMS_THRESHOLD if alone else None),
        square_input=options.square_input,
        with_points=not alone,
    )
    with open_pipeline(
        None if alone else pose,
        chosen if options.box_origin == "detector" else None,
        options.runtime,
        thresholds,
        flip_test=options.flip_test,
    ) as pipeline:
        detector, estimator = pipeline.detector, pipeline.estimator
        network = estimator or detector
        yield LoadedModels(
            pipeline,
            None if detector is None else _facts(chosen, "detector", detector, options),
            None if estimator is None else _facts(pose, "pose", estimator, options),
            "" if network is None else network.backend.description,
        )


def _or(value: float | None, default: float | None) -> float | None:
    return default if value is None else value


def _facts(
    model: str, kind: zoo.ModelKind, network: Detector | PoseEstimator, options: EvaluationOptions
) -> ModelFacts:
    path = zoo.resolve_model(model, kind=kind, offline=options.runtime.offline)
    spec = zoo.find_spec(model)
    return ModelFacts(
        name=spec.name if spec else path.name,
        sha256=sha256_of(path),
        form=network.form,
        input_size_wh=network.input_size_wh,
    )
