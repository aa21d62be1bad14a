"""The work of `dwpose-train labels`: an annotation file in, the same file with more points out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from ....annotations import Annotations, read_annotations
from ....arrays import BoolArray, Float32Array, Float64Array, UInt8Array
from ....errors import FormatError, InputError, InvalidArgumentError
from ....evaluation.selection import clipped_boxes_xyxy, require_pictures
from ....files.atomic import new_file, read_bytes, sha256_of
from ....files.json_text import dump, parse
from ....formats.coco import FIELD_OF_PART
from ....images import read_image
from ....keypoints import NUM_KEYPOINTS, PARTS
from ....labelled_person import VALID_FIELD_OF_PART
from ....layouts import WHOLEBODY_133, KeypointLayout
from ....runtime import Runtime
from ....zoo import resolve_model
from .looks import PADDINGS, LookJournal, LookSettings, look_at
from .networks import LabellingNetwork, open_labelling_network
from .rule import Changes, Seen, new_labels, treated_labels
from .settings import LabelRule, Treatment

logger = logging.getLogger(__name__)

AGREEMENT: Final = 0.05
"""Within this share of the box's longer side a label and the network agree, in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabellingOptions:
    """What is labelled, as `dwpose-train labels --help` describes the options.

    Attributes:
        annotations: Annotation file in the layout of COCO-WholeBody.
        images: Folder of its pictures.
        teacher: Name of a pose model, or path of an ONNX file.
        out: Annotation file to write.
        rule: When a point counts.
        paddings: Room around a box at each look.
        treatments: Label of persons -> what becomes of their labels; "" stands for all others.
        name: Label of the persons that get their points here.
        restart: Forget what an interrupted run has done.
        runtime: Where the network runs.
        progress: Show a progress bar on standard error.
    """

    annotations: Path
    images: Path
    teacher: str
    out: Path
    rule: LabelRule
    paddings: Sequence[float] = PADDINGS
    treatments: Mapping[str, Treatment]
    name: str = "teacher"
    restart: bool = False
    runtime: Runtime
    progress: bool = False


@dataclass(slots=True)
class LabelCounts:
    """What became of the persons of one label.

    Attributes:
        without_points: Persons that had no point.
        labelled: Those of them that have some now.
        new_points: How many these have together.
        with_points: Persons that had points, and were asked about.
        changes: What became of their points.
        compared: Their points of which the network is sure.
        agreed: Those within 5 % of the box's longer side.
    """

    without_points: int = 0
    labelled: int = 0
    new_points: int = 0
    with_points: int = 0
    changes: Changes = field(default_factory=Changes)
    compared: int = 0
    agreed: int = 0

    def __str__(self) -> str:
        parts = []
        if self.without_points:
            parts.append(
                f"{self.labelled} of {self.without_points} persons without points labelled, "
                f"{self.new_points} points"
            )
        if self.with_points:
            share = f"{self.agreed / self.compared:.3f}" if self.compared else "none"
            parts.append(
                f"{self.with_points} persons with points, {share} of {self.compared} within "
                f"{AGREEMENT:.0%} of the network's; {self.changes.added} added, "
                f"{self.changes.removed} removed, {self.changes.averaged} averaged"
            )
        return "; ".join(parts)


def label_persons(options: LabellingOptions) -> dict[str, LabelCounts]:
    """Labels persons, and writes them.

    Returns:
        Label that persons had -> what became of them.

    Raises:
        DwposeError: It could not be done.
    """
    labels = _read(options)
    asked = _asked(labels, options)
    journal_path = options.out.with_name(f"{options.out.name}.partial.jsonl")
    runtime = options.runtime
    teacher = resolve_model(
        options.teacher, kind="pose", offline=runtime.offline, progress=runtime.progress
    )
    settings = LookSettings(
        annotations_sha256=sha256_of(options.annotations),
        teacher_sha256=sha256_of(teacher),
        paddings=tuple(options.paddings),
        persons=int(asked.sum()),
    )
    backend, network = open_labelling_network(teacher, runtime)
    with backend, LookJournal(journal_path, settings, restart=options.restart) as journal:
        _ask(network, labels, asked, options, journal)
        counts = _write(labels, network.layout, journal, options)
    journal.remove()
    return counts


def _read(options: LabellingOptions) -> Annotations:
    labels = read_annotations(options.annotations, dtype="float64")
    if labels.layout is not WHOLEBODY_133:
        raise InvalidArgumentError(
            f"{options.annotations} has the points of {labels.layout.name}; labels are added to "
            "files in the layout of COCO-WholeBody alone"
        )
    unknown = set(options.treatments) - {""} - set(labels.labels.tolist())
    if unknown:
        known = ", ".join(sorted(set(labels.labels.tolist()) - {""})) or "no labels"
        raise InvalidArgumentError(
            f"no person of {options.annotations} is labelled {', '.join(sorted(unknown))}; it has "
            f"{known}"
        )
    if options.out.resolve() == options.annotations.resolve():
        raise InvalidArgumentError(f"--out {options.out} is the annotation file itself")
    if (labels.sizes_wh <= 0).any():
        raise FormatError(
            f"{options.annotations} does not say how large every picture is; set width and height"
        )
    if len(np.unique(labels.ids)) < len(labels):
        raise FormatError(f"{options.annotations}: two annotations have the same id")
    require_pictures(labels, options.images)
    return labels


def _treatment(label: str, options: LabellingOptions) -> Treatment:
    return options.treatments.get(label, options.treatments.get("", "keep"))


def _has_points(labels: Annotations) -> BoolArray:
    return np.asarray((labels.keypoints[:, :, 2] > 0).any(axis=1))


def _asked(labels: Annotations, options: LabellingOptions) -> BoolArray:
    """Tells about which persons the network is asked: (P,) bool."""
    boxes = clipped_boxes_xyxy(labels)
    sides = boxes[:, 2:] - boxes[:, :2]
    sound = (sides > 0).all(axis=1) & ~labels.is_crowd
    treatments = [_treatment(label, options) for label in labels.labels.tolist()]
    changes = np.array([treatment != "keep" for treatment in treatments], np.bool_)
    has_points = _has_points(labels)
    large = sides.max(axis=1, initial=0) >= options.rule.least_side_px
    asked: BoolArray = sound & ((has_points & changes) | (~has_points & large))
    left = {
        "crowds": labels.is_crowd,
        "without a box": ~labels.is_crowd & ~sound,
        f"below {options.rule.least_side_px:g} px": sound & ~has_points & ~large,
        "with labels that are kept": sound & has_points & ~asked,
    }
    words = ", ".join(f"{count} {why}" for why, mask in left.items() if (count := int(mask.sum())))
    if not asked.any():
        raise InputError(f"{labels.path}: there is nobody to label ({words or 'no persons'})")
    if words:
        logger.warning("%s: left as they are: %s", labels.path, words)
    return asked


def _ask(
    network: LabellingNetwork,
    labels: Annotations,
    asked: BoolArray,
    options: LabellingOptions,
    journal: LookJournal,
) -> None:
    """Looks at every person that is asked about and not in the journal."""
    boxes = clipped_boxes_xyxy(labels).astype(np.float32)
    rows_of: dict[int, list[int]] = {}
    for row in np.flatnonzero(asked).tolist():
        rows_of.setdefault(int(labels.image_indices[row]), []).append(row)
    with tqdm(total=int(asked.sum()), unit="person", disable=not options.progress) as bar:
        for index, rows in rows_of.items():
            image_id = int(labels.image_ids[index])
            if image_id not in journal.done:
                image = _picture(labels, index, options.images)
                looks = look_at(network, image, boxes[rows], paddings=options.paddings)
                journal.add(image_id, labels.ids[rows].tolist(), looks)
            bar.update(len(rows))


def _picture(labels: Annotations, index: int, folder: Path) -> UInt8Array:
    path = folder / labels.file_name(index)
    image = read_image(path)
    said, found = tuple(labels.sizes_wh[index].tolist()), image.shape[1::-1]
    if found != said:
        raise InputError(
            f"{path} is {found[0]}x{found[1]}, image {labels.image_ids[index]} of {labels.path} "
            f"says {said[0]}x{said[1]}: the boxes would be beside the persons"
        )
    return image


def _write(
    labels: Annotations, layout: KeypointLayout, journal: LookJournal, options: LabellingOptions
) -> dict[str, LabelCounts]:
    document = parse(read_bytes(options.annotations), str(options.annotations))
    boxes = clipped_boxes_xyxy(labels)
    longer_sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
    row_of = {int(person): row for row, person in enumerate(labels.ids)}
    counts: dict[str, LabelCounts] = {}
    for entry in document["annotations"]:
        looks = journal.looks.get(entry.get("id"))
        if looks is None:
            continue
        row = row_of[entry["id"]]
        seen = _seen(
            looks,
            layout.places_of(WHOLEBODY_133),
            float(longer_sides[row]),
            tuple(labels.sizes_wh[labels.image_indices[row]].tolist()),
        )
        label = str(labels.labels[row])
        count = counts.setdefault(label, LabelCounts())
        points = _labels(labels.keypoints[row].astype(np.float64), seen, label, options, count)
        if points is not None:
            _put(entry, points, layout)
            if not (labels.keypoints[row, :, 2] > 0).any():
                entry["label"] = options.name
    with new_file(options.out) as file:
        file.write(dump(document))
    return counts


def _labels(
    given: Float64Array, seen: Seen, label: str, options: LabellingOptions, count: LabelCounts
) -> Float64Array | None:
    """Returns a person's new labels, None where nothing changes, and counts them."""
    if (given[:, 2] > 0).any():
        count.with_points += 1
        _compare(given, seen, options.rule, count)
        points, changes = treated_labels(given, seen, options.rule, _treatment(label, options))
        count.changes += changes
        return points
    count.without_points += 1
    found = new_labels(seen, options.rule)
    if found is not None:
        count.labelled += 1
        count.new_points += int((found[:, 2] > 0).sum())
    return found


def _seen(
    looks: tuple[Float32Array, Float32Array, Float32Array],
    places: Sequence[int | None],
    longer_side_px: float,
    size_wh: tuple[int, int],
) -> Seen:
    """Puts what was seen into the order of the labels."""
    own = [place for place in places if place is not None]
    target = [number for number, place in enumerate(places) if place is not None]
    points = np.zeros((NUM_KEYPOINTS, 2))
    scores, spread = np.zeros(NUM_KEYPOINTS, np.float32), np.zeros(NUM_KEYPOINTS, np.float32)
    points[target] = looks[0][own].astype(np.float64).round(2)
    scores[target], spread[target] = looks[1][own], looks[2][own]
    return Seen(points, scores, spread, longer_side_px, size_wh)


def _compare(labels: Float64Array, seen: Seen, rule: LabelRule, count: LabelCounts) -> None:
    known = seen.sure(rule, rule.least_score) & (labels[:, 2] > 0)
    distance = np.linalg.norm(seen.points - labels[:, :2], axis=1) / seen.longer_side_px
    count.compared += int(known.sum())
    count.agreed += int((known & (distance <= AGREEMENT)).sum())


def _put(entry: dict[str, Any], labels: Float64Array, layout: KeypointLayout) -> None:
    """Writes a person's points into its annotation, those of the network's parts."""
    for part, span in PARTS.items():
        if part not in layout.parts and FIELD_OF_PART[part] in entry:
            continue
        points = labels[span]
        entry[FIELD_OF_PART[part]] = points.reshape(-1).tolist()
        if part in VALID_FIELD_OF_PART:
            entry[VALID_FIELD_OF_PART[part]] = bool((points[:, 2] > 0).any())
    entry["num_keypoints"] = int((labels[PARTS["body"], 2] > 0).sum())
