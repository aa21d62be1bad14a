"""What a prediction gives back: `PoseResult` for a picture, `Person` and `Part` inside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from . import keypoints as kp
from .arrays import BoolArray, UInt8Array
from .poses import Part, Person, Poses, stack

if TYPE_CHECKING:
    from os import PathLike

    from .images import ImageSource

__all__ = ["Part", "Person", "PoseResult", "as_results"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PoseResult(Poses):
    """All persons found in one picture, ordered by box score, best first.

    An absent point (hidden by `masked` or `without_weak_hands`, or not carried by the file a
    result was read from) has NaN coordinates and score 0.

    Attributes:
        keypoints: (P, 133, 2) float32, x then y, pixels of the input picture,
            COCO-WholeBody order (see `dwpose_infer.keypoints`). With a network of 17, 23 or 26
            points (P, 17, 2) and so on, in the order of `layout`.
        scores: (P, 133) float32, or as many as there are points. The raw SimCC score, the smaller
            one of the maxima along x and along y: not a probability, it may exceed 1.
        boxes_xyxy: (P, 4) float32, left, top, right, bottom in pixels of the input picture,
            not clipped to it; None where unknown.
        box_scores: (P,) float32, confidence of the detector, 1 for boxes given by the caller;
            None where unknown.
        ids: (P,) int64, identities across the frames of a video; None without tracking.
        image_size: (width, height) of the input picture in pixels; None where unknown.
        source: Path or URL the picture came from; None where it came from memory.
        notes: What was left out, altered or assumed of the picture when it was read, in words,
            such as "first of 12 frames used"; empty where nothing was. The formats "json" and
            "npz" hold them.
    """

    @classmethod
    def of(cls, poses: Poses) -> PoseResult:
        """Returns poses as a result; the arrays are the same."""
        return cls(
            *(poses.keypoints, poses.scores, poses.boxes_xyxy, poses.box_scores, poses.ids),
            image_size=poses.image_size,
            source=poses.source,
            notes=poses.notes,
        )

    @classmethod
    def empty(
        cls,
        *,
        image_size: tuple[int, int] | None = None,
        source: str | None = None,
        points: int = kp.NUM_KEYPOINTS,
    ) -> PoseResult:
        """Returns the result of a picture with nobody on it: every array has length 0.

        Args:
            image_size: (width, height) of the picture in pixels, where known.
            source: Its path or URL, where known.
            points: Number of points of the network, one of `dwpose_infer.layouts.LAYOUTS`.
        """
        return cls(
            keypoints=np.zeros((0, points, 2), np.float32),
            scores=np.zeros((0, points), np.float32),
            boxes_xyxy=np.zeros((0, 4), np.float32),
            box_scores=np.zeros((0,), np.float32),
            image_size=image_size,
            source=source,
        )

    def __iter__(self) -> Iterator[Person]:
        return iter(self.persons)

    def __getitem__(self, index: int) -> Person:
        return self.persons[index]

    def select(self, index: npt.ArrayLike | slice) -> PoseResult:
        """Returns the persons that a NumPy index of the first axis picks, in its order."""
        picked = index if isinstance(index, slice) else np.asarray(index)
        if not isinstance(picked, slice) and picked.size == 0:
            picked = slice(0, 0)  # an empty list would be an array of floats
        return replace(
            self,
            keypoints=self.keypoints[picked],
            scores=self.scores[picked],
            boxes_xyxy=None if self.boxes_xyxy is None else self.boxes_xyxy[picked],
            box_scores=None if self.box_scores is None else self.box_scores[picked],
            ids=None if self.ids is None else self.ids[picked],
        )

    def masked(
        self, *, parts: Iterable[str] | None = None, min_score: float | None = None
    ) -> PoseResult:
        """Returns a copy without the points that are not wanted or not certain enough.

        Args:
            parts: Parts to keep, keys of `layout.parts`; None keeps all.
            min_score: Points of a lower score become absent; None keeps all.

        Raises:
            InvalidArgumentError: There is no such part among these points.
        """
        keep = np.ones(self.scores.shape, bool) if min_score is None else self.scores >= min_score
        if parts is not None:
            wanted = np.zeros(len(self.layout), bool)
            for name in parts:
                wanted[self.layout.part(name)] = True
            keep &= wanted
        return self._with_points(keep)

    def without_weak_hands(
        self, *, min_wrist_score: float = 0.3, min_mean_score: float = 0.3
    ) -> PoseResult:
        """Returns a copy in which a hand is kept only when it can be believed.

        The network always places both hands, also those hidden or outside the picture. A hand
        stays when the body's wrist on its side and the mean over its 21 points both reach
        their scores; otherwise all its points become absent.

        Args:
            min_wrist_score: Least score of the body's wrist on the same side.
            min_mean_score: Least mean score of the hand's 21 points.
        """
        keep = np.ones(self.scores.shape, bool)
        for part, wrist in (("left_hand", kp.LEFT_WRIST), ("right_hand", kp.RIGHT_WRIST)):
            if part not in self.layout.parts:
                continue
            hand = self.layout.parts[part]
            believed = (self.scores[:, wrist] >= min_wrist_score) & (
                self.scores[:, hand].mean(axis=1) >= min_mean_score
            )
            keep[:, hand] = believed[:, None]
        return self._with_points(keep)

    def _with_points(self, keep: BoolArray) -> PoseResult:
        return replace(
            self,
            keypoints=np.where(keep[..., None], self.keypoints, np.float32(np.nan)),
            scores=np.where(keep, self.scores, np.float32(0.0)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as plain Python values, ready for `json.dumps`.

        Coordinates and scores are exact: every float32 comes back from its decimal form. Absent
        points are `null` (None), for JSON has no NaN.
        """
        from .formats.plain_json import result_to_dict

        return result_to_dict(self)

    def save(self, path: str | PathLike[str], *, format: str | None = None, **options: Any) -> Path:
        """Writes the result to a file.

        Args:
            path: File to write; an existing one is replaced in one step.
            format: A name of `dwpose_infer.formats.FORMATS`; None takes it from the ending of
                the path (.json is "json").
            **options: Options of the format, see `dwpose_infer.formats.save`.

        Returns:
            The path written.

        Raises:
            InvalidArgumentError: The format is unknown or does not know an option.
            OutputError: The file cannot be written.
        """
        from .formats.codecs import write

        return write([self], path, format=format, **options)

    def draw(
        self,
        image: ImageSource | None = None,
        *,
        style: Literal["openpose", "overlay"] = "openpose",
        color: Literal["bgr", "rgb"] = "bgr",
        **options: Any,
    ) -> UInt8Array:
        """Draws the skeletons.

        Args:
            image: Picture under an overlay, anything `Predictor` reads; None reads `source`
                again. Not used by style "openpose", which draws on black.
            style: "openpose" for a ControlNet canvas, "overlay" for lines on the picture.
            color: Channel order of the picture returned, and of `image` if it is an array.
            **options: Options of `dwpose_infer.drawing.draw_openpose` or `draw_overlay`.

        Returns:
            (H, W, 3) uint8.

        Raises:
            InvalidArgumentError: The picture or its size is needed and not known.
        """
        from .drawing import draw

        return draw(self, image, style=style, color=color, **options)

    def to_dataframe(self, *, library: Literal["pandas", "polars"] | None = None) -> Any:
        """Returns a row for each point of each person, as pandas or polars has it.

        Columns: `person` (its place, from 0), `id` (missing where not tracked), `part`,
        `keypoint` (its name), `x` and `y` (float32, pixels, missing where absent), `score`. Every
        point is there, however low its score; `masked(min_score=0.3)` takes out those that
        drawings leave out.

        Args:
            library: "pandas" or "polars"; None takes the first one installed.

        Raises:
            MissingDependencyError: The library is not installed, or neither is.
            InvalidArgumentError: The library is another one.
        """
        from .formats.interchange import to_dataframe

        return to_dataframe(stack([self]), library=library)

    def to_supervision(self, *, min_score: float = 0.3) -> Any:
        """Returns the persons as `supervision.KeyPoints`.

        Give `dwpose_infer.formats.interchange.SUPERVISION_EDGES` to its `EdgeAnnotator`, which
        does not know the skeleton of 133 points; for others `supervision_edges(result.layout)`.

        Args:
            min_score: Points that score less are marked as not visible, so that its annotators
                leave them out; 0.3 is what this package's own drawings take.

        Raises:
            MissingDependencyError: supervision is not installed, or older than 0.31.
        """
        from .formats.interchange import to_supervision

        return to_supervision(self, min_score=min_score)

    def _repr_png_(self) -> bytes | None:
        """Shows the result in a notebook, see `dwpose_infer.drawing.notebook_png`."""
        from .drawing import notebook_png

        return notebook_png(self)


def as_results(results: PoseResult | Sequence[PoseResult]) -> list[PoseResult]:
    """Returns a list of results, whether one or several were given."""
    return [results] if isinstance(results, PoseResult) else list(results)
