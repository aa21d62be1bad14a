"""The networks of an evaluation, loaded, and the facts about them that a document keeps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .. import zoo
from ..backends import BackendName
from ..detector import Detector, DetectorOptions
from ..estimator import PoseEstimator
from ..export.engine_cache import load_or_build
from ..files.atomic import sha256_of
from ..predictor import Predictor
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .detection import DETECTION_NMS_THRESHOLD, DETECTION_SCORE_THRESHOLD
from .document import ModelFacts

if TYPE_CHECKING:
    from ..backends.onnxruntime import Provider
    from ..backends.openvino import Precision

BoxOrigin = Literal["labels", "detector", "file"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which networks are used, and where they run; see `Predictor` for those not described.

    Attributes:
        task: "pose", or "detector" for the detector alone.
        boxes: Where the pose network's boxes come from.
        flip_test: Whether mirrored crops take part; a pose model in deploy form is converted.
        score_threshold: None takes the detector's own for poses, and 0.01 for the detector alone.
        nms_threshold: None takes 0.45 for poses, and 0.65 for the detector alone.
        square_input: Give the detector its whole square, see `DetectorOptions`.
    """

    task: Literal["pose", "detector"] = "pose"
    boxes: BoxOrigin = "labels"
    pose: str = DEFAULT_POSE
    detector: str = DEFAULT_DETECTOR
    flip_test: bool = False
    backend: BackendName = "ort"
    device: str = "cpu"
    provider: Provider | None = None
    provider_options: Mapping[str, Any] | None = None
    threads: int | None = None
    precision: Precision | None = None
    max_batch: int = 16
    score_threshold: float | None = None
    nms_threshold: float | None = None
    square_input: bool = False
    offline: bool | None = None
    progress: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModels:
    """Loaded networks.

    Attributes:
        detector: The detector, or None where boxes are given.
        estimator: The pose network, or None for the detector alone.
        detector_facts: What the detector is.
        pose_facts: What the pose network is.
        backend: Runtime and device in words.
    """

    detector: Detector | None
    estimator: PoseEstimator | None
    detector_facts: ModelFacts | None
    pose_facts: ModelFacts | None
    backend: str


@contextlib.contextmanager
def load_models(options: ModelOptions) -> Iterator[LoadedModels]:
    """Loads the networks and frees them at the end.

    Raises:
        DwposeError: A model cannot be had, or cannot be used as asked; see `Predictor`.
    """
    if options.task == "detector":
        with _load_detector(options) as detector:
            facts = _facts(options.detector, "detector", detector, options)
            yield LoadedModels(detector, None, facts, None, detector.backend.description)
        return
    with Predictor(
        options.pose,
        options.detector if options.boxes == "detector" else None,
        backend=options.backend,
        device=options.device,
        provider=options.provider,
        provider_options=options.provider_options,
        threads=options.threads,
        precision=options.precision,
        max_batch=options.max_batch,
        score_threshold=options.score_threshold,
        nms_threshold=options.nms_threshold,
        square_input=options.square_input,
        flip_test=options.flip_test,
        offline=options.offline,
        progress=options.progress,
    ) as predictor:
        found, estimator = predictor.detector, predictor.estimator
        yield LoadedModels(
            detector=found,
            estimator=estimator,
            detector_facts=None
            if found is None
            else _facts(options.detector, "detector", found, options),
            pose_facts=_facts(options.pose, "pose", estimator, options),
            backend=estimator.backend.description,
        )


@contextlib.contextmanager
def _load_detector(options: ModelOptions) -> Iterator[Detector]:
    path = zoo.resolve_model(
        options.detector, kind="detector", offline=options.offline, progress=options.progress
    )
    thresholds = DetectorOptions(
        score_threshold=_or(options.score_threshold, DETECTION_SCORE_THRESHOLD),
        nms_threshold=_or(options.nms_threshold, DETECTION_NMS_THRESHOLD),
        square_input=options.square_input or options.device not in (None, "cpu"),
    )
    with load_or_build(
        options.backend,
        path,
        device=options.device,
        provider=options.provider,
        provider_options=options.provider_options,
        threads=options.threads,
        precision=options.precision,
    ) as backend:
        yield Detector(backend, thresholds)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _facts(
    model: str, kind: zoo.ModelKind, network: Detector | PoseEstimator, options: ModelOptions
) -> ModelFacts:
    path = zoo.resolve_model(model, kind=kind, offline=options.offline)
    spec = zoo.find_spec(model)
    return ModelFacts(
        name=spec.name if spec else path.name,
        sha256=sha256_of(path),
        form=network.form,
        input_size_wh=network.input_size_wh,
    )
