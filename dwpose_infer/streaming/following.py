"""Poses of consecutive frames: persons are searched for in some and followed in the others.

With `detect_every` above 1 a frame between two searches needs the keypoints of the frame before
it. But each search begins a new chain that needs nothing from the frames before, so the chains of
a clip are worked on side by side: the first frames of all of them share a batch, then the second
ones, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import Protocol

from ..arrays import Float32Array, UInt8Array
from ..doubtful import somebody
from ..media.frames import Frame
from ..results import PoseResult
from ..tracking import PropagatedBoxes, boxes_from_keypoints
from .settings import StreamSettings

Boxes = Float32Array | None
"""Boxes (P, 4), pixels, of a frame whose persons are known; None where they are to be searched."""


class PredictFrames(Protocol):
    """What predicts a batch: `Predictor.__call__` with a list of arrays."""

    def __call__(
        self, images_bgr: Sequence[UInt8Array], boxes: Sequence[Boxes]
    ) -> list[PoseResult]:
        """Returns one result per frame, searching those whose boxes are None."""


class Follower:
    """Finds the persons of frames that come in order.

    Attributes:
        searched_frames: Frames in which the detector searched so far.
    """

    def __init__(
        self,
        predict: PredictFrames,
        settings: StreamSettings,
        *,
        known: Mapping[int, PoseResult] | None = None,
    ) -> None:
        """Starts before the first frame.

        Args:
            predict: Predicts a batch of frames.
            settings: How often to search.
            known: Index of a frame -> its persons as this class returned them before; they are
                not predicted again.
        """
        self._predict = predict
        self._settings = settings
        self._known = known or {}
        self._position = 0
        self._last: PoseResult | None = None
        self.searched_frames = 0
        self._counting = Lock()

    def __call__(self, frames: Sequence[Frame]) -> list[PoseResult]:
        """Returns the persons of the next frames, with no ids.

        Several threads may ask, where the frames of each begin with one that is searched anyway.

        Args:
            frames: The next frames in order, any number of them.

        Raises:
            InferenceError: A network failed.
        """
        results: dict[int, PoseResult] = {}
        chains = self._chains(len(frames))
        for step in range(max(map(len, chains), default=0)):
            places = [chain[step] for chain in chains if step < len(chain)]
            before = [results.get(place - 1, self._last) for place in places]
            followed = [
                None if self._is_due(place) else self._follow(frames[place], previous)
                for place, previous in zip(places, before, strict=True)
            ]
            predicted = self._predict_some([frames[place] for place in places], followed)
            results.update(zip(places, predicted, strict=True))
        self._position += len(frames)
        ordered = [results[place] for place in range(len(frames))]
        self._last = ordered[-1] if ordered else self._last
        return ordered

    def _chains(self, count: int) -> list[list[int]]:
        """Splits the next frames, by their places among them, where a search is due."""
        chains: list[list[int]] = []
        for place in range(count):
            if not chains or self._is_due(place):
                chains.append([])
            chains[-1].append(place)
        return chains

    def _is_due(self, place: int) -> bool:
        return (self._position + place) % self._settings.detect_every == 0

    def _follow(self, frame: Frame, previous: PoseResult | None) -> PropagatedBoxes | None:
        """Boxes from the frame before, or None where the frame has to be searched."""
        height, width = frame.image_bgr.shape[:2]
        if previous is None or previous.image_size != (width, height):
            return None
        boxes = boxes_from_keypoints(previous)
        return None if boxes.dropped else boxes

    def _predict_some(
        self, frames: Sequence[Frame], followed: Sequence[PropagatedBoxes | None]
    ) -> list[PoseResult]:
        """Predicts the frames whose persons are not known yet, all in one call."""
        results = {
            place: self._known[frame.index]
            for place, frame in enumerate(frames)
            if frame.index in self._known
        }
        missing = [place for place in range(len(frames)) if place not in results]
        results.update(self._predict_places(frames, followed, missing))
        # Whose points say that nobody is there was lost, such as at a cut.
        lost = [
            place
            for place in missing
            if followed[place] is not None and not somebody(results[place]).all()
        ]
        results.update(self._predict_places(frames, [None] * len(frames), lost))
        return [results[place] for place in range(len(frames))]

    def _predict_places(
        self,
        frames: Sequence[Frame],
        followed: Sequence[PropagatedBoxes | None],
        places: Sequence[int],
    ) -> Iterator[tuple[int, PoseResult]]:
        if not places:
            return
        predicted = self._predict(
            [frames[place].image_bgr for place in places],
            [_boxes(followed[place]) for place in places],
        )
        with self._counting:
            self.searched_frames += sum(followed[place] is None for place in places)
        for place, result in zip(places, predicted, strict=True):
            boxes = followed[place]
            yield place, result if boxes is None else replace(result, box_scores=boxes.box_scores)


def _boxes(followed: PropagatedBoxes | None) -> Float32Array | None:
    return None if followed is None else followed.boxes_xyxy
