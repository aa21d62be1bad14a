"""The work of `dwpose-eval`: labels and persons in, one document of figures out."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..annotations import Annotations, read_annotations
from ..files.document import write_document
from ..images import read_image
from .detection import evaluate_detector
from .document import (
    CocoFigures,
    EvaluationDocument,
    FileFacts,
    LabelCounts,
    PredictionSettings,
    file_facts,
    software,
)
from .drawing import draw_worst
from .groups import Comparison, compare, group_figures
from .journal import PicturePersons, PredictionJournal, to_predictions
from .matching import match, match_by_id
from .models import LoadedModels, ModelOptions, load_models
from .options import check_options, command_line, model_options, shows_progress
from .per_person import write_per_person
from .portraits import Portraits, cut_portraits
from .prediction import boxed_tasks, labelled_tasks, predict
from .predictions import Predictions, RankedPredictions, of_images, rank
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


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Predicted persons or boxes, and where they come from."""

    persons: Predictions | RankedPredictions | None
    pictures: list[PicturePersons]
    results: FileFacts | None
    settings: PredictionSettings | None


def run(arguments: argparse.Namespace) -> EvaluationDocument:
    """Does what the arguments of `dwpose-eval` say.

    Returns:
        What was written to --out.

    Raises:
        DwposeError: It could not be done.
    """
    check_options(arguments)
    labels = _read_labels(arguments)
    found, journal = _read_results(arguments, labels), None
    if found is None:
        found, journal = _predict(arguments, labels)
    document, comparison = _evaluate(arguments, labels, found)
    if comparison is not None:
        _write_persons(arguments, labels, comparison)
    if arguments.save_results is not None and found.persons is not None:
        write_results(arguments.save_results, _ranked(found.persons))
    write_document(arguments.out, document)
    if journal is not None:
        journal.remove()
    return document


def _read_labels(arguments: argparse.Namespace) -> _Labels:
    everything = read_annotations(arguments.annotations, dtype="float64")
    used = chosen_images(everything, frame_step=arguments.frame_step, limit=arguments.limit)
    portraits = cut_portraits(used) if arguments.cut == "portrait" else None
    return _Labels(
        everything=everything,
        used=used if portraits is None else portraits.annotations,
        portraits=portraits,
        facts=file_facts(arguments.annotations),
    )


def _read_results(arguments: argparse.Namespace, labels: _Labels) -> _Found | None:
    if arguments.results is None:
        return None
    persons = read_results(arguments.results)
    require_known_images(labels.everything, persons.image_ids)
    if len(labels.used.image_ids) < len(labels.everything.image_ids):
        persons = of_images(persons, labels.used.image_ids)
    return _Found(persons, [], file_facts(arguments.results), None)


def _predict(arguments: argparse.Namespace, labels: _Labels) -> tuple[_Found, PredictionJournal]:
    require_pictures(labels.used, arguments.images)
    options = model_options(arguments)
    with load_models(options) as models:
        settings = _settings(arguments, options, models, labels)
        if options.boxes == "detector":
            tasks = boxed_tasks(labels.used, arguments.images, None)
        elif options.boxes == "labels":
            tasks = labelled_tasks(labels.used, arguments.images)
        else:
            boxes = read_boxes(Path(arguments.boxes))
            require_known_images(labels.everything, np.array(list(boxes), np.int64))
            tasks = boxed_tasks(labels.used, arguments.images, boxes)
        if labels.portraits is not None:
            heights = labels.portraits.heights
            tasks = [replace(task, height=heights[task.image_id]) for task in tasks]
        path = arguments.out.with_name(f"{arguments.out.name}.partial.jsonl")
        with PredictionJournal(path, settings, restart=arguments.restart) as journal:
            pictures = predict(models, tasks, journal, progress=shows_progress(arguments))
    persons = None if options.task == "detector" else to_predictions(pictures)
    return _Found(persons, pictures, None, settings), journal


def _settings(
    arguments: argparse.Namespace, options: ModelOptions, models: LoadedModels, labels: _Labels
) -> PredictionSettings:
    thresholds = models.detector.options if models.detector is not None else None
    return PredictionSettings(
        annotations=labels.facts,
        task=options.task,
        boxes=options.boxes,
        boxes_file=file_facts(Path(arguments.boxes)) if options.boxes == "file" else None,
        pose=models.pose_facts,
        detector=models.detector_facts,
        flip_test=options.flip_test,
        backend=models.backend,
        provider=options.provider,
        precision=options.precision,
        provider_options=dict(options.provider_options or {}),
        score_threshold=thresholds.score_threshold if thresholds else None,
        nms_threshold=thresholds.nms_threshold if thresholds else None,
        square_input=thresholds is None or thresholds.square_input,
        cut=arguments.cut,
        frame_step=arguments.frame_step,
        limit=arguments.limit,
    )


def _evaluate(
    arguments: argparse.Namespace, labels: _Labels, found: _Found
) -> tuple[EvaluationDocument, Comparison | None]:
    parts, ranked, detector, comparison = None, None, None, None
    if found.persons is None:
        detector = evaluate_detector(labels.used, *_all_boxes(found.pictures))
        predicted = detector.detections
    else:
        ranked = _ranked(found.persons)
        metrics = evaluate_wholebody(labels.used, ranked, progress=shows_progress(arguments))
        parts = {
            part: msgspec.convert(figures, CocoFigures) for part, figures in metrics.parts.items()
        }
        comparison = _compare(arguments, labels, found.persons, found.settings)
        predicted = len(found.persons)
    document = EvaluationDocument(
        command=command_line(arguments),
        annotations=labels.facts,
        results=found.results,
        prediction=found.settings,
        labels=LabelCounts(pictures=len(labels.used.image_ids), persons=len(labels.used)),
        predicted_persons=predicted,
        ranked_persons=None if ranked is None else len(ranked),
        pck_threshold=arguments.pck_threshold,
        confident_score=arguments.confident_score,
        parts=parts,
        groups=() if comparison is None else group_figures(comparison),
        thresholds=() if comparison is None else point_thresholds(comparison),
        detector=detector,
        software=software(),
    )
    return document, comparison


def _compare(
    arguments: argparse.Namespace,
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
        pck_threshold=arguments.pck_threshold,
        confident_score=arguments.confident_score,
    )


def _write_persons(arguments: argparse.Namespace, labels: _Labels, comparison: Comparison) -> None:
    if arguments.per_person is not None:
        write_per_person(arguments.per_person, comparison)
    if arguments.draw is not None:
        reader = _picture_reader(labels, arguments.images)
        draw_worst(comparison, reader, arguments.draw, count=arguments.draw_count)


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
