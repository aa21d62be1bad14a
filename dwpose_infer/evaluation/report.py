"""Documents of evaluations as tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from ..errors import InputError
from ..files.document import read_document
from .document import DetectorFigures, EvaluationDocument, GroupBy, GroupFigures
from .points import PointPart

CARD_PARTS: Final[tuple[PointPart, ...]] = ("body", "feet", "face", "hands")
"""Columns of the table of points."""

LEAST_PERSONS: Final = 10
"""Smaller groups make no line of their own in tables: one person would move them too far."""


def to_markdown(document: EvaluationDocument) -> str:
    """Returns all tables of a document: average precision by part, points by group, boxes."""
    tables = []
    if document.parts is not None:
        tables.append(precision_table([document]))
        tables.append(_what_was_compared(document))
    if document.groups:
        tables.append(points_table([document], groups=document.groups))
        tables.append(_confidence_line(document))
    if document.thresholds:
        tables.append(_point_thresholds_table(document))
    if document.detector is not None:
        tables.append(detector_table([document]))
        tables.append(_box_thresholds_table(document.detector))
    return "\n\n".join(tables)


def readme_table(path: Path) -> str:
    """Returns the table for a model card, of one document or of all that a pattern names.

    Args:
        path: File written by `dwpose-eval`, or a pattern such as results/people_val_pose_*.json;
            the rows are in the order of the file names.

    Raises:
        InputError: There is no such file.
        FormatError: A file is not such a document.
    """
    documents = _read(path)
    boxes = [document for document in documents if document.detector is not None]
    poses = [document for document in documents if document.groups]
    tables = [points_table(poses)] if poses else []
    if boxes:
        tables.append(detector_table(boxes))
    return "\n\n".join(tables)


def groups_table(path: Path, *, by: GroupBy) -> str:
    """Returns the share of points hit by group of persons, for the documents that a pattern names.

    Args:
        path: As for `readme_table`.
        by: What the persons of a row share; the first row is of all.

    Raises:
        InputError: There is no such file.
        FormatError: A file is not such a document.
    """
    tables = []
    for document in _read(path):
        groups = [group for group in document.groups if group.by in ("all", by)]
        tables.append(f"{what(document)}:\n\n{points_table([document], groups=groups)}")
    return "\n\n".join(tables)


def curve_table(path: Path) -> str:
    """Returns recall and precision of detectors by threshold, two columns for each document.

    Args:
        path: As for `readme_table`.

    Raises:
        InputError: There is no such file.
        FormatError: A file is not such a document.
    """
    documents = [document for document in _read(path) if document.detector is not None]
    header, rows = ["score above"], []
    curves = [document.detector.thresholds for document in documents if document.detector]
    for document in documents:
        header += [f"{what(document)}: recall", "precision"]
    for points in zip(*curves, strict=True):
        values = [value for each in points for value in (each.recall, each.precision)]
        rows.append([f"{points[0].score:g}", *map(_optional, values)])
    return _table(header, rows)


def precision_table(documents: Sequence[EvaluationDocument]) -> str:
    """Returns average precision and recall of the parts, one row for each part of each document."""
    rows = []
    every = [figures for document in documents for figures in (document.parts or {}).values()]
    with_interval = any(figures.ap_interval is not None for figures in every)
    for document in documents:
        for part, figures in (document.parts or {}).items():
            values = (figures.ap, figures.ap_50, figures.ap_75, figures.ar)
            row = [what(document), part] if len(documents) > 1 else [part]
            row += [_share(value) if value >= 0 else "-" for value in values]
            if with_interval:
                ends = figures.ap_interval
                row.insert(-3, "-" if ends is None else " to ".join(map(_share, ends)))
            rows.append(row)
    words = ["", "part"] if len(documents) > 1 else ["part"]
    interval = ["95 %"] if with_interval else []
    return _table([*words, "AP", *interval, "AP .5", "AP .75", "AR"], rows, words=len(words))


def points_table(
    documents: Sequence[EvaluationDocument], *, groups: Sequence[GroupFigures] | None = None
) -> str:
    """Returns the share of points hit by part, one row for each kind of label of each document.

    Args:
        documents: Documents of poses with the same threshold.
        groups: Groups of the only document that make a row; None takes the labels, or all
            persons where the file has no field `label`.
    """
    rows = []
    for document in documents:
        for group in groups or _card_groups(document):
            if group.by != "all" and group.persons < LEAST_PERSONS:
                continue
            figures = (group.parts.get(part) for part in CARD_PARTS)
            shares = (None if each is None else each.pck for each in figures)
            name = group.name or "all"
            head = f"{what(document)}, {name}" if groups is None else name
            rows.append([head, str(group.persons), *map(_optional, shares)])
    within = f"{100 * documents[0].pck_threshold:g} %"
    title = f"share of points within {within} of the box's longer side"
    return _table([title, "persons", *CARD_PARTS], rows)


def detector_table(documents: Sequence[EvaluationDocument]) -> str:
    """Returns AP50, AP and recall for persons, one row for each document of a detector."""
    rows = [
        [
            what(document),
            str(document.labels.persons),
            *map(_share, (figures.ap_50, figures.ap, figures.ar_100)),
        ]
        for document in documents
        if (figures := document.detector) is not None
    ]
    return _table(["detector", "persons", "AP50", "AP", "AR"], rows)


def what(document: EvaluationDocument) -> str:
    """Returns in a few words what was evaluated."""
    made = document.prediction
    if made is None:
        return document.results.name if document.results else document.annotations.name
    cut = ", cut as portraits" if made.cut else ""
    flip = ", flip test" if made.flip_test else ""
    if made.task == "detector" and made.detector is not None:
        return f"`{made.detector.name}`{cut}"
    pose = f"`{made.pose.name}`" if made.pose else ""
    if made.boxes == "detector" and made.detector is not None:
        return f"{pose} on boxes of `{made.detector.name}`{cut}{flip}"
    origin = "labelled boxes" if made.boxes == "labels" else "given boxes"
    return f"{pose} on {origin}{cut}{flip}"


def _what_was_compared(document: EvaluationDocument) -> str:
    areas = {
        "labels": "areas of persons: the field area of the labels",
        "boxes": "areas of persons: those of their boxes, for the labels have no field area",
        "mixed": "areas of persons: the field area, and those of the boxes where it is missing",
        None: "areas of persons: not recorded",
    }[document.labels.areas]
    return f"Points: {document.labels.keypoint_order or 'coco-wholebody-133'}; {areas}."


def _confidence_line(document: EvaluationDocument) -> str:
    everyone = document.groups[0]
    words = {
        "labelled_outside": "points whose true place is outside the picture",
        "hand_outside": "of them, points of hands",
        "predicted_outside": "points placed outside it",
        "part_not_valid": "points of parts that are not labelled as valid",
    }
    lines = [
        [words[kind], str(share.points), _optional(share.share)]
        for kind, share in everyone.confident.items()
    ]
    above = f"score above {document.confident_score:g}"
    found = f"{everyone.found} of {everyone.persons} persons found (IoU 0.5 or more)."
    return f"{found}\n\n{_table(['confident nonsense', 'points', above], lines)}"


def _point_thresholds_table(document: EvaluationDocument) -> str:
    rows = []
    parts = [part for part in CARD_PARTS if part in document.thresholds[0].parts]
    for threshold in document.thresholds:
        if not _is_tenth(threshold.score):
            continue
        shares = (threshold.parts[part] for part in parts)
        pairs = [f"{_optional(each.shown)} / {_optional(each.right)}" for each in shares]
        rows.append([f"{threshold.score:g}", *pairs])
    first = "score above: labelled points shown / of these right"
    return _table([first, *parts], rows)


def _box_thresholds_table(figures: DetectorFigures) -> str:
    rows = [
        [f"{each.score:g}", _optional(each.recall), _optional(each.precision)]
        for each in figures.thresholds
        if _is_tenth(each.score)
    ]
    return _table(["score above", "recall", "precision"], rows)


def _is_tenth(score: float) -> bool:
    """Tells whether a threshold is printed; the ones between are in the file alone."""
    return round(100 * score) % 10 == 0


def _read(path: Path) -> list[EvaluationDocument]:
    paths = sorted(path.parent.glob(path.name)) if "*" in path.name else [path]
    if not paths:
        raise InputError(f"{path}: no file has such a name")
    return [read_document(each, EvaluationDocument) for each in paths]


def _card_groups(document: EvaluationDocument) -> list[GroupFigures]:
    labels = [group for group in document.groups if group.by == "label"]
    return labels or list(document.groups[:1])


def _share(value: float) -> str:
    return f"{value:.3f}"


def _optional(value: float | None) -> str:
    return "" if value is None else _share(value)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    marks = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join(f"| {' | '.join(line)} |" for line in (header, marks, *rows))
