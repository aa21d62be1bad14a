"""The face of one person of a clip as a video of its own, square and steady.

What drives the face of animation models, such as Wan-Animate's `src_face.mp4`. The clip is read a
second time: who is there most, and where a face goes next, is known at its end alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from ..arrays import BoolArray, Float64Array, Int64Array, UInt8Array
from ..errors import InputError, InvalidArgumentError
from ..formats.frame_log import LoggedFrame
from ..poses import Poses
from .frames import DamagedFrame, Frame, Source
from .opening import SourceLike, open_source
from .video_writer import LIVE_FRAME_RATE, VideoWriter

MissingFace = Literal["hold", "black"]

DEFAULT_SIZE: Final = 512
"""Side of the crops in pixels, that of Wan-Animate's preprocessing."""

DEFAULT_SCALE: Final = 1.3
"""Side of the square by the longer side of the face's points."""

SHARE_ABOVE: Final = 0.75
"""Share of the room above and below the face's points that lies above: the forehead has none."""

MIN_FACE_SCORE: Final = 0.3
"""Least mean score of the 68 points of a face that is there."""

CENTER_SMOOTHING_S: Final = 0.1
SIDE_SMOOTHING_S: Final = 0.5
"""Standard deviations in time of the Gaussians that smooth the square's middle and its side."""

MAX_SIZE: Final = 4096
MAX_WARPED_SIDE: Final = 8192
"""Side in pixels of what a larger region is brought to before areas of it are averaged."""


@dataclass(frozen=True, slots=True)
class FaceClipReport:
    """What a clip of a face holds.

    Attributes:
        path: The video.
        person: The person's id; None where people have none.
        persons: How many had a face in some frame.
        frames: Frames written.
        frames_without_face: Those of them in which the face was not found.
    """

    path: Path
    person: int | None
    persons: int
    frames: int
    frames_without_face: int


@dataclass(frozen=True, slots=True, eq=False)
class FaceSquares:
    """Where the face of one person is.

    Attributes:
        indices: (T,) int64, indices of the frames, ascending.
        centers_xy: (T, 2) float64, middles of the squares, pixels.
        sides: (T,) float64, their sides in pixels along y; along x by the shape of the pixels.
        found: (T,) bool, whether the face was found there.
    """

    indices: Int64Array
    centers_xy: Float64Array
    sides: Float64Array
    found: BoolArray


@dataclass(slots=True)
class FaceTracks:
    """Where the faces of a clip are: a few numbers a person and frame, gathered frame by frame."""

    _frames: list[tuple[int, float | None]] = field(default_factory=list)
    _boxes: dict[int | None, dict[int, Float64Array]] = field(default_factory=dict)
    _untracked: bool = False
    _image_size: tuple[int, int] | None = None

    def add(self, index: int, time_s: float | None, poses: Poses) -> None:
        """Notes the faces of a frame.

        Args:
            index: Index of the frame in its clip, above that of the frame before.
            time_s: Its time, None where unknown.
            poses: Its persons.

        Raises:
            InvalidArgumentError: The network knows no points of faces.
        """
        face = poses.layout.part("face")
        self._frames.append((index, time_s))
        self._image_size = self._image_size or poses.image_size
        self._untracked |= poses.ids is None and len(poses) > 1
        for row in range(len(poses)):
            person = None if poses.ids is None else int(poses.ids[row])
            points = poses.keypoints[row, face].astype(np.float64)
            there = points[~np.isnan(points).any(axis=1)]
            if len(there) > 1 and poses.scores[row, face].mean() >= MIN_FACE_SCORE:
                corners = np.concatenate([there.min(axis=0), there.max(axis=0)])
                self._boxes.setdefault(person, {})[index] = corners

    @property
    def persons(self) -> list[int | None]:
        """Who has a face in some frame, most frames first."""
        return sorted(self._boxes, key=lambda person: -len(self._boxes[person]))

    def require_video(self, source: Source) -> None:
        """Raises InputError unless the frames of a source have the size of those looked at."""
        if self._image_size is not None and self._image_size != source.size_wh:
            sizes = "{}x{}, the poses were found in frames of {}x{}"
            both = *source.size_wh, *self._image_size
            raise InputError(f"{source.name} has frames of {sizes.format(*both)} pixels")

    def chosen(self, person: int | None) -> int | None:
        """Returns a person with a face: the one asked for, or for None the one in most frames.

        Raises:
            InvalidArgumentError: It is not there, or people of the clip have no ids.
            InputError: Nobody has a face.
        """
        if self._untracked:
            raise InvalidArgumentError(
                "people of this clip have no ids, so nobody's face can be followed: find them "
                "with track=True (--track), or only one with max_persons=1 (--max-persons 1)"
            )
        if not self._boxes:
            raise InputError("no face was found in any frame")
        if person is not None and None in self._boxes:
            raise InvalidArgumentError(f"people of this clip have no ids, so nobody is {person}")
        if person is not None and person not in self._boxes:
            known = ", ".join(str(each) for each in self.persons)
            raise InvalidArgumentError(
                f"there is no face of a person {person} in the clip; by frames, most first: {known}"
            )
        return self.persons[0] if person is None else person

    def squares(
        self,
        person: int | None,
        *,
        scale: float = DEFAULT_SCALE,
        frame_rate: float = 25.0,
        pixel_aspect_ratio: float = 1.0,
    ) -> FaceSquares:
        """Returns a person's squares, steady in time, for every frame.

        Where the face was not found the square moves evenly from where it was to where it is next;
        before the first and after the last sight it stays. Then its middle and its side are
        smoothed: a line is fitted to the frames before and after, weighted by a Gaussian in time
        of 0.1 s standard deviation (0.5 s for the side). So nothing lags behind.

        Args:
            person: One of `persons`.
            scale: Side of the square by the longer side of the face's points.
            frame_rate: Frames per second, where times are unknown.
            pixel_aspect_ratio: Width of a pixel as it is shown, by its height.
        """
        boxes = self._boxes[person]
        indices = np.array([index for index, _ in self._frames], np.int64)
        times = [index / frame_rate if time is None else time for index, time in self._frames]
        found = np.array([index in boxes for index in indices.tolist()])
        corners = np.array([boxes[index] for index in indices[found].tolist()])
        size_wh = corners[:, 2:] - corners[:, :2]
        longer = np.maximum(size_wh[:, 0] * pixel_aspect_ratio, size_wh[:, 1])
        sides = scale * np.maximum(longer, 1.0)
        above = (SHARE_ABOVE - 0.5) * (sides - size_wh[:, 1])
        middles = (corners[:, :2] + corners[:, 2:]) / 2
        known = np.column_stack([middles[:, 0], middles[:, 1] - above, sides])
        at = np.asarray(times, np.float64)
        whole = np.column_stack([np.interp(at, at[found], column) for column in known.T])
        centers = _smoothed(at, whole[:, :2], CENTER_SMOOTHING_S)
        smooth_sides = _smoothed(at, whole[:, 2:], SIDE_SMOOTHING_S)[:, 0]
        return FaceSquares(indices, centers, smooth_sides, found)


def save_face_clip(
    poses: Iterable[LoggedFrame] | FaceTracks,
    video: SourceLike | Source,
    path: str | PathLike[str],
    *,
    person: int | None = None,
    size: int = DEFAULT_SIZE,
    scale: float = DEFAULT_SCALE,
    missing: MissingFace = "hold",
    progress: Callable[[], object] | None = None,
) -> FaceClipReport:
    """Writes the face of one person as a video: a square crop of each frame, without sound.

    A face is there where the mean score of its points reaches 0.3. The square holds them with a
    margin, three quarters of it above; `FaceTracks.squares` says how it is kept steady. What lies
    outside the picture is black. The video has the frame times of its source.

    Args:
        poses: The clip's poses, as `load_clip` reads them, with ids or at most one person a frame.
        video: The clip itself: anything `open_source` reads but live sources, or a source it
            opened, as for pictures with a frame rate of their own.
        path: Video to write, .mp4, .m4v, .mov or .mkv.
        person: Id of the person; None takes the one whose face is there in most frames.
        size: Side of the crops in pixels.
        scale: Side of the square by the longer side of the face's points.
        missing: What is shown where the face was not found: "hold" the square where it would be,
            "black" nothing.
        progress: Called after each frame.

    Raises:
        InvalidArgumentError: A value cannot be used, people have no ids, or the person is not
            there.
        InputError: Nobody has a face, the video cannot be read, is live, or lacks frames.
        OutputError: The video cannot be written.
        MissingDependencyError: PyAV is not installed.
    """
    if isinstance(size, bool) or not isinstance(size, int) or not 2 <= size <= MAX_SIZE:
        raise InvalidArgumentError(f"size is {size!r}, expected 2 to {MAX_SIZE} pixels")
    if not 1.0 <= scale <= 10.0:
        raise InvalidArgumentError(f"scale is {scale!r}, expected 1 to 10")
    if missing not in ("hold", "black"):
        raise InvalidArgumentError(f'missing is {missing!r}, expected "hold" or "black"')
    tracks = poses if isinstance(poses, FaceTracks) else _tracks_of(poses)
    chosen = tracks.chosen(person)
    with ExitStack() as stack:
        given = video if isinstance(video, Source) else open_source(video)
        source = stack.enter_context(given)
        if source.is_live:
            raise InputError(f"{source.name} is live and cannot be read a second time")
        tracks.require_video(source)
        rate = source.frame_rate or LIVE_FRAME_RATE
        shape = float(source.pixel_aspect_ratio)
        squares = tracks.squares(
            chosen, scale=scale, frame_rate=float(rate), pixel_aspect_ratio=shape
        )
        step = 1
        if not isinstance(video, Source):  # else its stride is counted in
            step = int(np.gcd.reduce(np.diff(squares.indices))) or 1
        writer = stack.enter_context(VideoWriter(path, frame_rate=rate / step))
        crops = _crops(source, squares, size=size, missing=missing)
        for frame, crop in crops:
            length_s = None if frame.duration_s is None else frame.duration_s * step
            writer.write(crop, frame.time_s, length_s)
            if progress is not None:
                progress()
    return FaceClipReport(
        path=writer.path,
        person=chosen,
        persons=len(tracks.persons),
        frames=writer.frames_written,
        frames_without_face=int((~squares.found).sum()),
    )


def crop_square(
    image_bgr: UInt8Array,
    center_xy: Float64Array,
    side_wh: tuple[float, float],
    *,
    size: int,
) -> UInt8Array:
    """Cuts a rectangle out of a picture at parts of a pixel, and gives it the size of a square.

    Args:
        image_bgr: (H, W, 3) uint8.
        center_xy: (2,) its middle, pixels, whole numbers are the middles of pixels.
        side_wh: Width and height in pixels; they differ where pixels are not square.
        size: Side of the crop in pixels. It is enlarged bicubically, and made smaller by means of
            areas.

    Returns:
        (size, size, 3) uint8, black outside of the picture.
    """
    shrink = max(1, min(int(np.ceil(max(side_wh) / size)), MAX_WARPED_SIDE // size))
    fine = size * shrink
    scale = fine / np.array(side_wh)
    sides = np.array(image_bgr.shape[1::-1])
    reach = np.array(side_wh) / 2 + 3
    low = np.clip(np.floor(center_xy - reach), 0, sides).astype(int)
    high = np.clip(np.ceil(center_xy + reach), 0, sides).astype(int)
    if (high <= low).any():
        return np.zeros((size, size, 3), np.uint8)
    window = image_bgr[low[1] : high[1], low[0] : high[0]]
    offset = (fine - 1) / 2 - (center_xy - low) * scale
    matrix = np.column_stack([np.diag(scale), offset])
    mode = cv2.INTER_CUBIC if shrink == 1 else cv2.INTER_LINEAR
    crop = cv2.warpAffine(window, matrix, (fine, fine), flags=mode)
    if shrink > 1:
        crop = cv2.resize(crop, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(crop, np.uint8)


def _tracks_of(poses: Iterable[LoggedFrame]) -> FaceTracks:
    tracks = FaceTracks()
    for frame in poses:
        if frame.result is not None:
            tracks.add(frame.index, frame.time_s, frame.result)
    return tracks


def _crops(
    source: Source, squares: FaceSquares, *, size: int, missing: MissingFace
) -> Iterator[tuple[Frame, UInt8Array]]:
    """Yields the frames that have a square, and what is in it."""
    place = {index: row for row, index in enumerate(squares.indices.tolist())}
    shape = float(source.pixel_aspect_ratio)
    for item in source:
        row = place.pop(item.index, None)
        if row is None or isinstance(item, DamagedFrame):
            continue
        if missing == "black" and not squares.found[row]:
            crop = np.zeros((size, size, 3), np.uint8)
        else:
            side = float(squares.sides[row])
            crop = crop_square(
                item.image_bgr, squares.centers_xy[row], (side / shape, side), size=size
            )
        yield item, crop
        if not place:
            return
    raise InputError(
        f"{source.name} has no frame {min(place)}, of which there are poses: is it the clip they "
        "were found in?"
    )


def _smoothed(times_s: Float64Array, values: Float64Array, deviation_s: float) -> Float64Array:
    """Returns (T, C) values of lines fitted to the frames near in time, by a Gaussian's weights.

    Lines, for a mean would pull a moving face off the middle at both ends of the clip.
    """
    smooth = np.empty_like(values)
    reach_s = 4 * deviation_s
    begins = np.searchsorted(times_s, times_s - reach_s)
    ends = np.searchsorted(times_s, times_s + reach_s, side="right")
    for row, (begin, end) in enumerate(zip(begins.tolist(), ends.tolist(), strict=True)):
        near = slice(begin, end)
        away = (times_s[near] - times_s[row]) / deviation_s
        weights = np.exp(-0.5 * away**2)
        total, first, second = weights.sum(), weights @ away, weights @ away**2
        spread = total * second - first**2
        if spread > 1e-9 * total**2:  # else the frame is alone
            weights = weights * (second - first * away) * total / spread
        smooth[row] = weights @ values[near] / total
    return smooth
