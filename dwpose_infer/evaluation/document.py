"""What an evaluation writes: one typed document of figures and of how they were made."""

from __future__ import annotations

import datetime
import platform
from pathlib import Path
from typing import Literal

import msgspec

from .._version import __version__
from ..annotations import AreaRule
from ..files.atomic import sha256_of
from ..wheels import MEASURED_WHEELS, installed
from .confidence import DoubtfulKind
from .points import PointPart
from .wholebody import EvaluatedPart

GroupBy = Literal["all", "label", "source", "kind"]
"""What the persons of a group have in common, see `GroupFigures`."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fixed once made; files with fields that it does not know are refused."""


class CocoFigures(
    _Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The ten figures of COCO's keypoint task, 0 to 1, or -1 where undefined.

    Attributes:
        ap_interval: Low and high end of AP's 95 % bootstrap interval, where it was asked for.
    """

    ap: float = msgspec.field(name="AP")
    ap_50: float = msgspec.field(name="AP .5")
    ap_75: float = msgspec.field(name="AP .75")
    ap_medium: float = msgspec.field(name="AP (M)")
    ap_large: float = msgspec.field(name="AP (L)")
    ar: float = msgspec.field(name="AR")
    ar_50: float = msgspec.field(name="AR .5")
    ar_75: float = msgspec.field(name="AR .75")
    ar_medium: float = msgspec.field(name="AR (M)")
    ar_large: float = msgspec.field(name="AR (L)")
    ap_interval: tuple[float, float] | None = msgspec.field(name="AP 95 %", default=None)


class BoxThreshold(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Boxes that score above a threshold, see `thresholds`.

    Attributes:
        score: The threshold.
        recall: Share of labelled persons that one of these boxes overlaps with IoU 0.5 or more.
        precision: Share of these boxes that overlap a person of their own so; None without any.
    """

    score: float
    recall: float | None
    precision: float | None


class DetectorFigures(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of COCO's box task for the class person, 0 to 1, or -1 where undefined.

    Attributes:
        ap: Mean over IoU 0.5 to 0.95.
        ap_50: At IoU 0.5.
        ap_75: At IoU 0.75.
        ap_small: Of persons under 32 x 32 pixels.
        ap_medium: Of persons from 32 x 32 to 96 x 96 pixels.
        ap_large: Of larger persons.
        ar_100: Recall, mean over IoU 0.5 to 0.95, with at most 100 persons a picture.
        detections: Boxes that took part.
        thresholds: Recall and precision by threshold.
    """

    ap: float = msgspec.field(name="AP")
    ap_50: float = msgspec.field(name="AP .5")
    ap_75: float = msgspec.field(name="AP .75")
    ap_small: float = msgspec.field(name="AP (S)")
    ap_medium: float = msgspec.field(name="AP (M)")
    ap_large: float = msgspec.field(name="AP (L)")
    ar_100: float = msgspec.field(name="AR 100")
    detections: int
    thresholds: tuple[BoxThreshold, ...]


class PointFigures(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of one part; see `points.PartErrors`."""

    points: int
    pck: float | None
    mean_error_px: float | None
    mean_error_relative: float | None


class ShownPoints(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Points of a part that score above a threshold.

    Attributes:
        shown: Share of the labelled points that do.
        right: Share of these that are hit, see `points.PCK_THRESHOLD`; None without any.
    """

    shown: float | None
    right: float | None


class PointThreshold(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a threshold shows of all persons, see `thresholds`.

    Attributes:
        score: The threshold.
        parts: Part -> figures.
    """

    score: float
    parts: dict[PointPart, ShownPoints]


class ConfidentShare(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many of some points have a score above the threshold.

    Attributes:
        points: Points of this kind.
        share: Share of them above the threshold; None without points.
    """

    points: int
    share: float | None


class GroupFigures(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Figures of a group of labelled persons; see `points` and `confidence`.

    Attributes:
        by: What the group shares: nothing ("all"), the persons' field `label`, the pictures'
            field `source`, or how the persons appear ("kind", see `kinds.person_kinds`).
        name: Value of that field, or the kind; "" for all.
        persons: Labelled persons in the group.
        found: Of them, those whose predicted box overlaps theirs with IoU 0.5 or more.
        parts: Part -> figures.
        confident: Kind of point that should not be sure of itself -> how many are.
    """

    by: GroupBy
    name: str
    persons: int
    found: int
    parts: dict[PointPart, PointFigures]
    confident: dict[DoubtfulKind, ConfidentShare]


class FileFacts(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that figures depend on: its name without folders, and its SHA-256 in hex."""

    name: str
    sha256: str


class ModelFacts(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network.

    Attributes:
        name: Its name in the list of models, or its file's.
        sha256: Of its file, in lower-case hex.
        form: How its graph is laid out, see `PoseEstimator` and `Detector`.
        input_size_wh: Width and height of its input in pixels.
    """

    name: str
    sha256: str
    form: str
    input_size_wh: tuple[int, int]


class PredictionSettings(
    _Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Everything that predictions depend on; a run goes on only where all of it is the same.

    Attributes:
        annotations: File of the labels.
        task: "pose" or "detector".
        boxes: Where the boxes come from: "labels", "detector" or "file"; for the task
            "detector" it is "detector".
        boxes_file: The COCO detection file, with "file".
        pose: Pose network, or None.
        detector: Detector, or None.
        flip_test: Whether mirrored crops took part.
        backend: Runtime and device in words.
        provider: Execution provider of ONNX Runtime asked for, or None for the device's own.
        precision: Precision asked for, or None for the runtime's own.
        provider_options: Options of the execution provider, written where any were given.
        score_threshold: Persons of the detector score above this.
        nms_threshold: Of two boxes whose IoU is above this, the better one stayed.
        person_threshold: Least product of box score and mean body score, see `DetectorOptions`;
            0 where it was not asked for.
        square_input: Whether the detector got every picture on its whole square; files of
            earlier versions, which knew nothing else, do not say so.
        cut: "portrait" where pictures were cut above the waist, see `portraits`.
        frame_step: Only pictures whose id is a multiple of it.
        limit: Only the first so many pictures.
    """

    annotations: FileFacts
    task: Literal["pose", "detector"]
    boxes: Literal["labels", "detector", "file"]
    boxes_file: FileFacts | None
    pose: ModelFacts | None
    detector: ModelFacts | None
    flip_test: bool
    backend: str
    provider: str | None
    precision: str | None
    score_threshold: float | None
    nms_threshold: float | None
    person_threshold: float = 0.0
    square_input: bool = True
    cut: Literal["portrait"] | None
    frame_step: int
    limit: int | None
    provider_options: dict[str, str] = {}


class LabelCounts(
    _Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What of the annotation file took part.

    Attributes:
        pictures: Pictures.
        persons: Persons.
        keypoint_order: Layout of the points that were compared: those of the network and of the
            labels, or what both have, see `dwpose_infer.layouts`. None in files of earlier
            versions, which knew the 133 points alone.
        areas: Whose area OKS takes: "labels", the field `area`; "boxes", those of the boxes,
            where no person has the field; or "mixed". None in files of earlier versions.
    """

    pictures: int
    persons: int
    keypoint_order: str | None = None
    areas: AreaRule | None = None


class Software(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Versions and machine; nothing tells whose it was.

    Attributes:
        dwpose_infer: Version of this package.
        python: Version of Python.
        machine: System and architecture.
        distributions: Distribution -> version, of those in `MEASURED_WHEELS` that are installed.
        date: Day of the evaluation, UTC.
    """

    dwpose_infer: str
    python: str
    machine: str
    distributions: dict[str, str]
    date: datetime.date


class EvaluationDocument(_Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of one run of `dwpose-eval`.

    Attributes:
        schema_version: Version of this layout.
        benchmark: Always "accuracy".
        command: The command's options in words, without folders.
        annotations: File of the labels.
        results: File of the results, where they were read and not made.
        prediction: How they were made, where they were.
        labels: What took part of the labels.
        predicted_persons: Persons in the results, before suppression.
        ranked_persons: Persons that the protocol compared; None for detectors.
        pck_threshold: Share of the labelled box's longer side within which a point is hit.
        confident_score: Score above which a point counts as sure.
        parts: The COCO-WholeBody protocol's figures of each part; None for detectors.
        groups: Point by point, for all persons, by label and by source; empty for detectors.
        thresholds: What thresholds on the points' scores show of all persons; empty for
            detectors.
        detector: Figures of the boxes; None for poses.
        software: Versions and machine.
    """

    schema_version: Literal[1] = 1
    benchmark: Literal["accuracy"] = "accuracy"
    command: str
    annotations: FileFacts
    results: FileFacts | None
    prediction: PredictionSettings | None
    labels: LabelCounts
    predicted_persons: int
    ranked_persons: int | None
    pck_threshold: float
    confident_score: float
    parts: dict[EvaluatedPart, CocoFigures] | None
    groups: tuple[GroupFigures, ...]
    thresholds: tuple[PointThreshold, ...]
    detector: DetectorFigures | None
    software: Software


def file_facts(path: Path) -> FileFacts:
    """Returns name and SHA-256 of a file."""
    return FileFacts(name=path.name, sha256=sha256_of(path))


def software() -> Software:
    """Returns versions and machine of this process."""
    return Software(
        dwpose_infer=__version__,
        python=platform.python_version(),
        machine=f"{platform.system()} {platform.machine()}",
        distributions=installed(MEASURED_WHEELS),
        date=datetime.datetime.now(datetime.timezone.utc).date(),
    )
