"""Poses as arrays: what networks find, formats encode and decode, and drawings show.

`Poses` are the persons of one picture or frame, with `Person` and `Part` inside them; a
`PoseTable` holds the persons of many, one after the other. `dwpose_infer.results.PoseResult` is
the first with everything that users call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .arrays import BoolArray, Float32Array, Float64Array, Int64Array
from .errors import InvalidArgumentError
from .layouts import (
    LAYOUTS,
    POINTS_OF_PART,
    WHOLEBODY_133,
    KeypointLayout,
    known_layouts,
    layout_of,
)

if TYPE_CHECKING:
    from typing_extensions import Self


SCHEMA_VERSION = 1
"""Version of the layout of `PoseResult.to_dict` and of the files made from it."""

_IDS_SHOWN = 8
"""Identities that a result is printed with, before it says that there are more."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a person: body, feet, face or a hand.

    Attributes:
        name: Name of the part, one of `dwpose_infer.layouts.POINTS_OF_PART`.
        keypoints: (K, 2) float32, x then y, pixels of the input picture; NaN where absent.
        scores: (K,) float32, SimCC scores; 0 where absent.
    """

    name: str
    keypoints: Float32Array
    scores: Float32Array

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the part's keypoints, in order."""
        return POINTS_OF_PART[self.name]

    def __len__(self) -> int:
        return len(self.keypoints)

    def __repr__(self) -> str:
        return f"Part({self.name}, {_present(self.keypoints)})"


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person of a picture; its arrays are views of the `PoseResult` they come from.

    Attributes:
        keypoints: (K, 2) float32, x then y, pixels of the input picture; NaN where absent. K is
            133, or 17, 23 or 26 with networks of so many points.
        scores: (K,) float32, SimCC scores; 0 where absent.
        box_xyxy: (4,) float32, left, top, right, bottom in pixels, or None.
        box_score: Confidence of the detector, or None.
        id: Identity across the frames of a video, or None.
    """

    keypoints: Float32Array
    scores: Float32Array
    box_xyxy: Float32Array | None = None
    box_score: float | None = None
    id: int | None = None

    def __repr__(self) -> str:
        known = [] if self.id is None else [f"id {self.id}"]
        if self.box_xyxy is not None:
            known.append(f"box {[round(float(side), 1) for side in self.box_xyxy]}")
        if self.box_score is not None:
            known.append(f"box score {self.box_score:.2f}")
        return f"Person({', '.join([*known, _present(self.keypoints)])})"

    def part(self, name: str) -> Part:
        """Returns one part.

        Args:
            name: "body", "feet", "face", "left_hand" or "right_hand", as far as the network has
                it; with Halpe's 26 points "midline", too: head, neck and hip.

        Raises:
            InvalidArgumentError: There is no such part among these points.
        """
        points = layout_of(len(self.keypoints)).part(name)
        return Part(name, self.keypoints[points], self.scores[points])

    @property
    def body(self) -> Part:
        """The 17 points of the body, COCO order."""
        return self.part("body")

    @property
    def feet(self) -> Part:
        """The 6 points of the feet: big toe, small toe, heel; left, then right."""
        return self.part("feet")

    @property
    def face(self) -> Part:
        """The 68 points of the face, iBUG 300-W order."""
        return self.part("face")

    @property
    def left_hand(self) -> Part:
        """The 21 points of the person's left hand: root, then thumb to pinky, base to tip."""
        return self.part("left_hand")

    @property
    def right_hand(self) -> Part:
        """The 21 points of the person's right hand: root, then thumb to pinky, base to tip."""
        return self.part("right_hand")


@dataclass(frozen=True, slots=True, eq=False)
class Poses:
    """The persons of one picture or frame, ordered by box score, best first.

    The fields are those of `dwpose_infer.results.PoseResult`, which says what they hold.
    """

    keypoints: Float32Array
    scores: Float32Array
    boxes_xyxy: Float32Array | None = None
    box_scores: Float32Array | None = None
    ids: Int64Array | None = None
    image_size: tuple[int, int] | None = None
    source: str | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        persons = len(self.keypoints)
        points = self.keypoints.shape[1] if self.keypoints.ndim == 3 else 0
        if points not in LAYOUTS:
            raise InvalidArgumentError(
                f"keypoints has shape {self.keypoints.shape}, expected "
                f"{(persons, len(WHOLEBODY_133), 2)} for {persons} person(s); {known_layouts()}"
            )
        rest_of = {"keypoints": (points, 2), "scores": (points,), "boxes_xyxy": (4,)}
        for field in ("keypoints", "scores", "boxes_xyxy", "box_scores", "ids"):
            array = getattr(self, field)
            if array is not None and array.shape != (shape := (persons, *rest_of.get(field, ()))):
                raise InvalidArgumentError(
                    f"{field} has shape {array.shape}, expected {shape} for {persons} person(s)"
                )

    def __len__(self) -> int:
        return len(self.keypoints)

    def __repr__(self) -> str:
        known = [f"{len(self)} person{'' if len(self) == 1 else 's'}"]
        if self.image_size is not None:
            known.append("{}x{} pixels".format(*self.image_size))
        if self.ids is not None:
            shown = ", ".join(map(str, self.ids[:_IDS_SHOWN].tolist()))
            known.append(f"ids {shown}{', ...' if len(self) > _IDS_SHOWN else ''}")
        if self.source is not None:
            known.append(f"source {self.source!r}")
        return f"{type(self).__name__}({', '.join(known)})"

    @property
    def layout(self) -> KeypointLayout:
        """Names, parts, bones and order of the points."""
        return layout_of(self.keypoints.shape[1])

    def in_layout(self, layout: KeypointLayout) -> Self:
        """Returns the same persons with the points of another layout; those they lack are absent.

        Points of their own that the other layout lacks are left out.
        """
        if layout is self.layout:
            return self
        keypoints = np.full((len(self), len(layout), 2), np.nan, np.float32)
        scores = np.zeros((len(self), len(layout)), np.float32)
        for place, own in enumerate(self.layout.places_of(layout)):
            if own is not None:
                keypoints[:, place], scores[:, place] = self.keypoints[:, own], self.scores[:, own]
        return replace(self, keypoints=keypoints, scores=scores)

    @property
    def persons(self) -> list[Person]:
        """The persons one by one, in the order of the arrays."""
        return [
            Person(
                keypoints=self.keypoints[index],
                scores=self.scores[index],
                box_xyxy=None if self.boxes_xyxy is None else self.boxes_xyxy[index],
                box_score=None if self.box_scores is None else float(self.box_scores[index]),
                id=None if self.ids is None else int(self.ids[index]),
            )
            for index in range(len(self))
        ]


@dataclass(frozen=True, slots=True, eq=False)
class PoseTable:
    """The persons of R pictures or frames, one after the other: N in all.

    Attributes:
        person_counts: (R,) int64, number of persons of each result; their sum is N.
        keypoints: (N, K, 2) float32, x then y, pixels; NaN where absent. K is 133, or the points
            of another of `dwpose_infer.layouts.LAYOUTS`.
        scores: (N, K) float32.
        boxes_xyxy: (N, 4) float32, left, top, right, bottom in pixels; NaN where unknown.
        box_scores: (N,) float32; NaN where unknown.
        ids: (N,) int64; -1 where unknown.
        has_boxes: (R,) bool, whether a result knows its boxes.
        has_box_scores: (R,) bool, whether a result knows the scores of its boxes.
        has_ids: (R,) bool, whether a result knows identities.
        image_sizes: (R, 2) int64, width then height in pixels; -1 where unknown.
        sources: R paths or URLs; None where unknown.
        frame_indices: (R,) int64, index of each frame in its clip, from 0; None for pictures.
        times_s: (R,) float64, time of each frame in seconds, NaN where unknown; None for pictures.
        notes: R tuples, what was altered of each picture, in words; empty where nothing is known.
    """

    person_counts: Int64Array
    keypoints: Float32Array
    scores: Float32Array
    boxes_xyxy: Float32Array
    box_scores: Float32Array
    ids: Int64Array
    has_boxes: BoolArray
    has_box_scores: BoolArray
    has_ids: BoolArray
    image_sizes: Int64Array
    sources: tuple[str | None, ...]
    frame_indices: Int64Array | None = None
    times_s: Float64Array | None = None
    notes: tuple[tuple[str, ...], ...] = ()

    @property
    def layout(self) -> KeypointLayout:
        """Names, parts, bones and order of the points."""
        return layout_of(self.keypoints.shape[1])

    def at(self, indices: Sequence[int], times_s: Sequence[float | None]) -> PoseTable:
        """Returns the table with the index and the time of each frame.

        Raises:
            InvalidArgumentError: They are not as many as the frames.
        """
        frames = len(self.person_counts)
        if not frames == len(indices) == len(times_s):
            raise InvalidArgumentError(
                f"{frames} results, {len(indices)} indices and {len(times_s)} times do not fit"
            )
        times = np.array([np.nan if time is None else time for time in times_s], np.float64)
        return replace(self, frame_indices=np.array(indices, np.int64), times_s=times)

    def rows(self) -> Int64Array:
        """Returns (N,) int64, the place of each person's picture or frame, from 0."""
        return np.repeat(np.arange(len(self.person_counts)), self.person_counts)


def common_layout(results: Iterable[Poses]) -> KeypointLayout:
    """Returns the layout of results' persons; where there is nobody, that of the first result.

    Raises:
        InvalidArgumentError: Persons have different ones.
    """
    found: dict[KeypointLayout, None] = {}
    of_first = None
    for result in results:
        of_first = of_first or result.layout
        if len(result):
            found[result.layout] = None
    if len(found) > 1:
        names = ", ".join(layout.name for layout in found)
        raise InvalidArgumentError(f"these results have different keypoints: {names}")
    return next(iter(found), of_first or WHOLEBODY_133)


def stack(results: Sequence[Poses]) -> PoseTable:
    """Returns results as one set of arrays.

    Raises:
        InvalidArgumentError: The persons have different numbers of points.
    """
    counts = [len(result) for result in results]
    points = (len(common_layout(results)), 2)
    keypoints = [result.keypoints for result in results if len(result)]
    scores = [result.scores for result in results if len(result)]
    boxes = [
        np.full((len(result), 4), np.nan) if result.boxes_xyxy is None else result.boxes_xyxy
        for result in results
    ]
    box_scores = [
        np.full((len(result),), np.nan) if result.box_scores is None else result.box_scores
        for result in results
    ]
    ids = [np.full((len(result),), -1) if result.ids is None else result.ids for result in results]
    return PoseTable(
        person_counts=np.array(counts, np.int64),
        keypoints=np.concatenate([np.zeros((0, *points)), *keypoints]).astype(np.float32),
        scores=np.concatenate([np.zeros((0, points[0])), *scores]).astype(np.float32),
        boxes_xyxy=np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float32),
        box_scores=np.concatenate([np.zeros(0), *box_scores]).astype(np.float32),
        ids=np.concatenate([np.zeros(0, np.int64), *ids]),
        has_boxes=_flags(result.boxes_xyxy is not None for result in results),
        has_box_scores=_flags(result.box_scores is not None for result in results),
        has_ids=_flags(result.ids is not None for result in results),
        image_sizes=np.array(
            [result.image_size or (-1, -1) for result in results], np.int64
        ).reshape(-1, 2),
        sources=tuple(result.source for result in results),
        notes=tuple(result.notes for result in results),
    )


def unstack(stacked: PoseTable) -> list[Poses]:
    """Returns the results that `stack` put together; their arrays are views."""
    ends = np.cumsum(stacked.person_counts)
    results = []
    for index, (count, end) in enumerate(zip(stacked.person_counts, ends, strict=True)):
        span = slice(int(end - count), int(end))
        width, height = stacked.image_sizes[index].tolist()
        results.append(
            Poses(
                keypoints=stacked.keypoints[span],
                scores=stacked.scores[span],
                boxes_xyxy=stacked.boxes_xyxy[span] if stacked.has_boxes[index] else None,
                box_scores=stacked.box_scores[span] if stacked.has_box_scores[index] else None,
                ids=stacked.ids[span] if stacked.has_ids[index] else None,
                image_size=None if (width, height) == (-1, -1) else (width, height),
                source=stacked.sources[index],
                notes=stacked.notes[index] if stacked.notes else (),
            )
        )
    return results


def _present(keypoints: Float32Array) -> str:
    return f"{(~np.isnan(keypoints).any(axis=1)).sum()} of {len(keypoints)} points"


def _flags(values: Iterable[bool]) -> BoolArray:
    return np.array(list(values), np.bool_)
