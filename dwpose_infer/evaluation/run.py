"""The work of `dwpose-eval`: labels and persons in, one document of figures out.

Of the networks it loads, a document keeps the facts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .. import zoo
from ..annotations import Annotations, read_annotations
from ..detector import Detector
from ..estimator import PoseEstimator
from ..files.atomic import sha256_of
from ..files.document import write_document
from ..images import read_image
from ..layouts import KeypointLayout
from ..pipeline import Pipeline, detector_options, open_pipeline
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .detection import DETECTION_NMS_THRESHOLD, DETECTION_SCORE_THRESHOLD, evaluate_detector
from .document import (
    CocoFigures,
    EvaluationDocument,
    FileFacts,
    LabelCounts,
    ModelFacts,
    PredictionSettings,
    file_facts,
    software,
)
from .groups import Comparison, compare, group_figures
from .journal import PicturePersons, PredictionJournal, to_predictions
from .matching import match, match_by_id
from .options import EvaluationOptions
from .per_person import draw_worst, write_per_person
from .portraits import Portraits, cut_portraits
from .prediction import boxed_tasks, labelled_tasks, predict
from .predictions import Predictions, RankedPredictions, in_layout, of_images, rank
from .results_file import read_boxes, read_results, write_results
from .selection import chosen_images, is_evaluated, require_pictures
from .thresholds import point_thresholds
from .wholebody import evaluate_wholebody, require_known_images


@dataclass(frozen=True, slots=True, eq=False)
class _Labels:
    """The labels that take part, and what is known beside them."""

    everything: Annotations
    used: Annotations
    portraits: Portraits | None
    facts: FileFacts

    def in_layout(self, layout: KeypointLayout) -> _Labels:
        """Returns the labels that take part with the points of a layout alone."""
        if layout is self.used.layout:
            return self
        places = [place for place in self.used.layout.places_of(layout) if place is not None]
        portraits = self.portraits
        if portraits is not None:
            portraits = replace(portraits, outside=portraits.outside[:, places])
        return replace(self, used=self.used.in_layout(layout), portraits=portraits)


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Predicted persons or boxes, and where they come from."""

    persons: Predictions | RankedPredictions | None
    pictures: list[PicturePersons]
    results: FileFacts | None
    settings: PredictionSettings | None


def run(options: EvaluationOptions) -> EvaluationDocument:
    """Does what the options of `dwpose-eval` say.

    Returns:
        What was written to --out.

    Raises:
        DwposeError: It could not be done.
    """
    labels = _read_labels(options)
    found, journal = _read_results(options, labels), None
    if found is None:
        found, journal = _predict(options, labels)
    document, comparison = _evaluate(options, labels, found)
    if comparison is not None:
        _write_persons(options, labels, comparison)
    if options.save_results is not None and found.persons is not None:
        write_results(options.save_results, _ranked(found.persons))
    write_document(options.out, document)
    if journal is not None:
        journal.remove()
    return document


def _read_labels(options: EvaluationOptions) -> _Labels:
    everything = read_annotations(options.annotations, dtype="float64")
    used = chosen_images(everything, frame_step=options.frame_step, limit=options.limit)
    portraits = cut_portraits(used) if options.cut == "portrait" else None
    return _Labels(
        everything=everything,
        used=used if portraits is None else portraits.annotations,
        portraits=portraits,
        facts=file_facts(options.annotations),
    )


def _read_results(options: EvaluationOptions, labels: _Labels) -> _Found | None:
    if options.results is None:
        return None
    persons = read_results(options.results)
    require_known_images(labels.everything, persons.image_ids)
    if len(labels.used.image_ids) < len(labels.everything.image_ids):
        persons = of_images(persons, labels.used.image_ids)
    return _Found(persons, [], file_facts(options.results), None)


def _predict(options: EvaluationOptions, labels: _Labels) -> tuple[_Found, PredictionJournal]:
    folder = options.picture_folder
    require_pictures(labels.used, folder)
    with load_models(options) as models:
        settings = _settings(options, models, labels)
        if options.box_origin == "labels":
            tasks = labelled_tasks(labels.used, folder)
        else:
            boxes = None if options.boxes_file is None else read_boxes(options.boxes_file)
            if boxes is not None:
                require_known_images(labels.everything, np.array(list(boxes), np.int64))
            tasks = boxed_tasks(labels.used, folder, boxes)
        if labels.portraits is not None:
            heights = labels.portraits.heights
            tasks = [replace(task, height=heights[task.image_id]) for task in tasks]
        path = options.out.with_name(f"{options.out.name}.partial.jsonl")
        with PredictionJournal(path, settings, restart=options.restart) as journal:
            pictures = predict(models.pipeline, tasks, journal, progress=options.shows_progress)
    persons = None if options.task == "detector" else to_predictions(pictures)
    return _Found(persons, pictures, None, settings), journal


def _settings(
    options: EvaluationOptions, models: LoadedModels, labels: _Labels
) -> PredictionSettings:
    detector = models.pipeline.detector
    thresholds = detector.options if detector is not None else None
    return PredictionSettings(
        annotations=labels.facts,
        task=options.task,
        boxes=options.box_origin,
        boxes_file=None if options.boxes_file is None else file_facts(options.boxes_file),
        pose=models.pose_facts,
        detector=models.detector_facts,
        flip_test=options.flip_test,
        backend=models.backend,
        provider=options.runtime.provider,
        precision=options.runtime.precision,
        provider_options=dict(options.runtime.provider_options or {}),
        score_threshold=thresholds.score_threshold if thresholds else None,
        nms_threshold=thresholds.nms_threshold if thresholds else None,
        person_threshold=thresholds.person_threshold if thresholds else 0.0,
        square_input=thresholds is None or thresholds.square_input,
        cut=options.cut,
        frame_step=options.frame_step,
        limit=options.limit,
    )


def _evaluate(
    options: EvaluationOptions, labels: _Labels, found: _Found
) -> tuple[EvaluationDocument, Comparison | None]:
    parts, ranked, detector, comparison = None, None, None, None
    layout = labels.used.layout
    if found.persons is None:
        detector = evaluate_detector(labels.used, *_all_boxes(found.pictures))
        predicted = detector.detections
    else:
        ranked = _ranked(found.persons)
        layout = layout.common(ranked.layout)
        labels = labels.in_layout(layout)
        metrics = evaluate_wholebody(
            labels.used,
            ranked,
            resamples=options.bootstrap or 0,
            progress=options.shows_progress,
        )
        parts = {
            part: msgspec.convert(
                {**figures, "AP 95 %": metrics.ap_intervals.get(part)}, CocoFigures
            )
            for part, figures in metrics.parts.items()
        }
        comparison = _compare(options, labels, in_layout(found.persons, layout), found.settings)
        predicted = len(found.persons)
    document = EvaluationDocument(
        command=options.command,
        annotations=labels.facts,
        results=found.results,
        prediction=found.settings,
        labels=LabelCounts(
            pictures=len(labels.used.image_ids),
            persons=len(labels.used),
            keypoint_order=None if found.persons is None else layout.name,
            areas=labels.everything.area_rule,
        ),
        predicted_persons=predicted,
        ranked_persons=None if ranked is None else len(ranked),
        pck_threshold=options.pck_threshold,
        confident_score=options.confident_score,
        parts=parts,
        groups=() if comparison is None else group_figures(comparison),
        thresholds=() if comparison is None else point_thresholds(comparison),
        detector=detector,
        software=software(),
    )
    return document, comparison


def _compare(
    options: EvaluationOptions,
    labels: _Labels,
    persons: Predictions | RankedPredictions,
    settings: PredictionSettings | None,
) -> Comparison:
    rows = np.flatnonzero(is_evaluated(labels.used))
    annotations = labels.used.select(rows)
    on_labelled_boxes = settings is not None and settings.boxes == "labels"
    if on_labelled_boxes and isinstance(persons, Predictions):
        matches = match_by_id(annotations, persons)
    else:
        matches = match(annotations, persons)
    return compare(
        annotations,
        matches,
        outside=None if labels.portraits is None else labels.portraits.outside[rows],
        pck_threshold=options.pck_threshold,
        confident_score=options.confident_score,
    )


def _write_persons(options: EvaluationOptions, labels: _Labels, comparison: Comparison) -> None:
    if options.per_person is not None:
        write_per_person(options.per_person, comparison)
    if options.draw is not None:
        reader = _picture_reader(labels, options.picture_folder)
        draw_worst(comparison, reader, options.draw, count=options.draw_count)


def _picture_reader(labels: _Labels, folder: Path) -> Callable[[int], Any]:
    def read(index: int) -> Any:
        image = read_image(folder / labels.used.file_name(index))
        if labels.portraits is None:
            return image
        return image[: labels.portraits.heights[int(labels.used.image_ids[index])]]

    return read


def _ranked(persons: Predictions | RankedPredictions) -> RankedPredictions:
    return rank(persons) if isinstance(persons, Predictions) else persons


def _all_boxes(pictures: list[PicturePersons]) -> tuple[Any, Any, Any]:
    image_ids = [picture.image_id for picture in pictures for _ in picture.boxes_xyxy]
    boxes = [box for picture in pictures for box in picture.boxes_xyxy]
    scores = [score for picture in pictures for score in picture.box_scores]
    return (
        np.array(image_ids, np.int64),
        np.array(boxes, np.float64).reshape(-1, 4),
        np.array(scores, np.float64),
    )


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
