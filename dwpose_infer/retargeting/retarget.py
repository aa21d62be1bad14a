"""`retarget`: a clip's persons with the proportions of a reference, at the reference's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

import numpy as np

from ..arrays import Float32Array, Float64Array
from ..errors import InputError, InvalidArgumentError
from ..formats import PoseClip
from ..formats.frame_log import LoggedFrame
from ..results import PoseResult
from .lengths import LENGTH_NAMES, Nodes, nodes_of, ratios, whole_ratio
from .rebuilding import ANCHORS, Placement, rebuilt

Align = Literal["auto", "ankles", "hips", "neck", "nose"]

DEFAULT_MIN_SCORE: Final = 0.3


@dataclass(frozen=True, slots=True)
class Proportions:
    """How much longer than a person's the reference's limbs are.

    Attributes:
        person: The person's id; None where people have none.
        whole: The reference's size by the person's: along spine, arms and legs, as far as both
            show them.
        ratios: Name of a length (spine, shoulders, hips, upper arms, forearms, thighs, shins, neck,
            head, hands, feet) -> factor on it.
        assumed: Lengths that not both show, whose factor is `whole`.
    """

    person: int | None
    whole: float
    ratios: Mapping[str, float]
    assumed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Retargeting:
    """A clip retargeted.

    Attributes:
        clip: Its persons in pixels of the reference's picture, which is their `image_size`.
        proportions: Those of each person, the one aligned with the reference first.
        anchor: What was put where the reference has it: "ankles", "hips", "neck" or "nose".
    """

    clip: PoseClip
    proportions: tuple[Proportions, ...]
    anchor: str


def retarget(
    clip: PoseClip | Iterable[LoggedFrame],
    reference: PoseResult,
    *,
    person: int | None = None,
    align: Align = "auto",
    min_score: float = DEFAULT_MIN_SCORE,
) -> Retargeting:
    """Gives the persons of a clip the limb lengths of a reference, and its place.

    A factor for each length, the same in all frames: the reference's by the median over the clip.
    Points keep their direction from the point they hang on (hips, then spine, arms, legs and head),
    so angles in the picture stay; hands, feet and head are scaled about wrist, ankle and nose.
    Scores and ids stay.

    The person who is there most, or the one asked for, begins where the reference stands. From
    there the ankles (or what `align` says) go the way they go in the clip, times the ratio of the
    two persons' sizes; other persons go along. Lengths are those in the picture: a reference whose
    limbs point at the camera has short ones.

    Args:
        clip: The clip, with ids or at most one person a frame.
        reference: One person, at best seen from the front with straight limbs.
        person: Id of the person to keep, alone; None keeps all.
        align: What begins where the reference has it: "ankles", "hips", "neck", "nose", or the
            first of these that both show.
        min_score: Least score of points that are measured, and on which others hang.

    Raises:
        InvalidArgumentError: The reference is not one person, people have no ids, the person is not
            there, or `align` names what not both show.
        InputError: Nobody is in the clip, or a person shares no length with the reference.
    """
    clip = clip if isinstance(clip, PoseClip) else PoseClip(tuple(clip))
    if len(reference) != 1:
        raise InvalidArgumentError(
            f"the reference has {len(reference)} persons and must have one: reference.select([0]) "
            "takes the first"
        )
    people = _people(clip, person=person, min_score=min_score)
    scored = np.dstack([reference.keypoints, reference.scores[..., None]]).astype(np.float32)
    target = nodes_of(scored, reference.layout, min_score=min_score)
    main = next(iter(people))
    anchor = _anchor(people[main], target, align)
    proportions: dict[int | None, Proportions] = {}
    for each, nodes in people.items():
        proportions[each] = _proportions(each, nodes, target, usual=proportions.get(main))
    node = ANCHORS[anchor]
    own = people[main].at(node)
    first = own[~np.isnan(own).any(axis=1)][0]
    placement = Placement(proportions[main].whole, first, target.at(node)[0])
    new = {
        each: rebuilt(nodes, proportions[each].ratios, placement, anchor=node)
        for each, nodes in people.items()
    }
    note = f"retargeted to the proportions of {reference.source or 'another person'}"
    frames = []
    for row, frame in enumerate(clip):
        result = frame.result
        if result is not None:
            result = _retargeted(result, {each: xy[row] for each, xy in new.items()}, proportions)
            notes = (*result.notes, note)
            result = replace(result, image_size=reference.image_size, notes=notes)
        frames.append(replace(frame, result=result))
    return Retargeting(PoseClip(tuple(frames)), tuple(proportions.values()), anchor)


def _people(clip: PoseClip, *, person: int | None, min_score: float) -> dict[int | None, Nodes]:
    """Returns the persons to retarget, the one who is to stand at the reference's place first."""
    ids = clip.ids
    points: Float32Array = clip.as_array(by="place" if ids is None else "id")
    if not points.shape[1]:
        raise InputError("there is nobody in the clip")
    if ids is None and points.shape[1] > 1:
        raise InvalidArgumentError(
            "people of this clip have no ids, so nobody can be told from the others: find them "
            "with track=True (--track), or only one with max_persons=1 (--max-persons 1)"
        )
    known: list[int | None] = [None] if ids is None else list(ids.tolist())
    layout = next(frame.result.layout for frame in clip if frame.result)
    people = {
        each: nodes_of(points[:, place], layout, min_score=min_score)
        for place, each in enumerate(known)
    }
    if person is not None:
        if person not in people:
            words = "people have no ids" if ids is None else f"its ids are {ids.tolist()}"
            raise InvalidArgumentError(f"there is no person {person} in the clip: {words}")
        return {person: people[person]}
    return dict(sorted(people.items(), key=lambda item: -int(item[1].sure.any(axis=1).sum())))


def _anchor(person: Nodes, target: Nodes, align: str) -> str:
    """Returns what both show: of the person in half of the frames that show anything of it."""
    if align not in ("auto", *ANCHORS):
        raise InvalidArgumentError(f"align is {align!r}, expected auto, {', '.join(ANCHORS)}")
    frames = person.sure.any(axis=1).sum()
    for name in ANCHORS if align == "auto" else (align,):
        there = (~np.isnan(person.at(ANCHORS[name])).any(axis=1)).sum()
        least = frames / 2 if align == "auto" else 1
        if there >= max(1, least) and not np.isnan(target.at(ANCHORS[name])).any():
            return name
    raise InputError(
        f"{'ankles, hips, neck and nose' if align == 'auto' else align} of the clip's person or of "
        "the reference are not seen, so there is nothing to align"
    )


def _proportions(
    person: int | None, nodes: Nodes, target: Nodes, *, usual: Proportions | None
) -> Proportions:
    whole = whole_ratio(nodes, target)
    if whole is None and usual is None:
        raise InputError(
            "no limb is seen of the clip's person and of the reference alike, so their sizes "
            "cannot be compared"
        )
    size = cast(Proportions, usual).whole if whole is None else whole
    shared = ratios(nodes, target)
    return Proportions(
        person=person,
        whole=size,
        ratios={name: shared.get(name, size) for name in LENGTH_NAMES},
        assumed=tuple(name for name in LENGTH_NAMES if name not in shared),
    )


def _retargeted(
    result: PoseResult,
    new_xy: Mapping[int | None, Float64Array],
    proportions: Mapping[int | None, Proportions],
) -> PoseResult:
    """Returns a frame with new places of its points and boxes; without persons not retargeted."""
    ids: list[int | None] = [None] * len(result)
    if result.ids is not None:
        ids = list(result.ids.tolist())
    kept = [row for row, each in enumerate(ids) if each in new_xy]
    result = result.select(kept)
    if not kept:
        return result
    points = len(result.layout)
    xy = np.stack([new_xy[ids[row]][:points] for row in kept])
    boxes = None
    if result.boxes_xyxy is not None:
        scales = [proportions[ids[row]].whole for row in kept]
        boxes = np.stack(
            [
                _box(*each)
                for each in zip(result.boxes_xyxy, result.keypoints, xy, scales, strict=True)
            ]
        ).astype(np.float32)
    return replace(result, keypoints=xy.astype(np.float32), boxes_xyxy=boxes)


def _box(
    box_xyxy: Float32Array, old_xy: Float32Array, new_xy: Float64Array, scale: float
) -> Float64Array:
    """Returns a box around the new points with the margins of the old one, scaled."""
    there = ~np.isnan(old_xy).any(axis=1)
    if not there.any():
        return np.full(4, np.nan)
    old, new = old_xy[there].astype(np.float64), new_xy[there]
    corners = box_xyxy.astype(np.float64).reshape(2, 2)
    least = new.min(axis=0) + scale * (corners[0] - old.min(axis=0))
    most = new.max(axis=0) + scale * (corners[1] - old.max(axis=0))
    return np.concatenate([np.minimum(least, most), np.maximum(least, most)])
