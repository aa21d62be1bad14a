"""A contact sheet: frames of a clip side by side, with their skeletons, number and time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import cv2
import numpy as np

from ..arrays import UInt8Array
from ..drawing import draw
from ..errors import InputError, InvalidArgumentError, OutputError
from ..files.atomic import write_bytes
from ..formats import PoseClip
from ..formats.frame_log import LoggedFrame
from ..media import DamagedFrame, open_source
from ..results import PoseResult
from .catalogue import DEFAULT_CELL_WIDTH, DEFAULT_MIN_SCORE, DEFAULT_SHEET_FRAMES, SHEET_ENDINGS

SHEET_ASPECT: Final = 1.6
"""Width by height that a sheet comes near to where no columns are given."""

GAP_PX: Final = 4
MAX_SIDE: Final = 65_500
"""Pixels that a side of a JPEG can have."""

MAX_PIXELS: Final = 2**27
FAR_FRAMES: Final = 300
"""A frame that lies so far ahead is looked up in the video anew; what is nearer is decoded."""

JPEG_QUALITY: Final = 92

_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_GROUND: Final = (255, 255, 255)
_CELL: Final = 24
_TEXT: Final = (40, 40, 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetSettings:
    """What a sheet shows.

    Attributes:
        frames: How many, evenly spread from the first to the last.
        columns: How many side by side; None comes near to a sheet of 16 to 10.
        cell_width: Width of a frame on the sheet in pixels.
        style: How skeletons are drawn.
        min_score: Points that score less are not drawn.
        persons: Ids of those shown, places in the frame where people have none; None shows all.
    """

    frames: int = DEFAULT_SHEET_FRAMES
    columns: int | None = None
    cell_width: int = DEFAULT_CELL_WIDTH
    style: Literal["overlay", "openpose"] = "overlay"
    min_score: float = DEFAULT_MIN_SCORE
    persons: Sequence[int] | None = None


def contact_sheet(
    clip: PoseClip,
    settings: SheetSettings = SheetSettings(),
    *,
    video: str | Path | None = None,
    frame_rate: float | None = None,
) -> UInt8Array:
    """Returns a picture of frames of a clip with their skeletons.

    Below each stand its number, its time and how many persons are drawn.

    Args:
        clip: The clip's poses.
        settings: What is shown of it.
        video: The clip itself, shown below the skeletons; None draws on dark cells.
        frame_rate: Frames per second, for a clip without times.

    Returns:
        (H, W, 3) uint8, blue, green, red.

    Raises:
        InvalidArgumentError: A person is not in the clip, the sheet would be too large, or the
            video is not the clip the poses were found in.
        InputError: The clip has no frame, or the video cannot be read or lacks one.
    """
    if not len(clip):
        raise InputError("the clip has no frame")
    _require_persons(clip, settings.persons)
    count = min(settings.frames, len(clip))
    places = np.unique(np.rint(np.linspace(0, len(clip) - 1, count)).astype(int)).tolist()
    frames = [_with_persons(clip[place], settings.persons) for place in places]
    width_px, height_px = _picture_size(clip)
    cell_wh = settings.cell_width, max(1, round(settings.cell_width * height_px / width_px))
    strip_px = max(12, round(settings.cell_width / 16))
    columns = min(settings.columns or _columns(len(frames), cell_wh, strip_px), len(frames))
    rows = -(-len(frames) // columns)
    step_x, step_y = cell_wh[0] + GAP_PX, cell_wh[1] + strip_px + GAP_PX
    sheet_wh = columns * step_x + GAP_PX, rows * step_y + GAP_PX
    if max(sheet_wh) > MAX_SIDE or sheet_wh[0] * sheet_wh[1] > MAX_PIXELS:
        raise InvalidArgumentError(
            f"the sheet would have {sheet_wh[0]}x{sheet_wh[1]} pixels: take fewer frames or "
            "smaller cells"
        )
    sheet = np.full((sheet_wh[1], sheet_wh[0], 3), _GROUND, np.uint8)
    pictures = _pictures(video, frames, cell_wh)
    for place, (frame, picture) in enumerate(zip(frames, pictures, strict=True)):
        left = GAP_PX + (place % columns) * step_x
        top = GAP_PX + (place // columns) * step_y
        cell = _cell(frame, picture, cell_wh, (width_px, height_px), settings)
        sheet[top : top + cell_wh[1], left : left + cell_wh[0]] = cell
        strip = sheet[top + cell_wh[1] : top + cell_wh[1] + strip_px, left : left + cell_wh[0]]
        _write_caption(strip, _caption(frame, frame_rate))
    return sheet


def save_sheet(sheet: UInt8Array, path: Path) -> Path:
    """Writes a sheet as its ending says: .png or .jpg.

    Raises:
        InvalidArgumentError: It is another one.
        OutputError: The file cannot be written.
    """
    require_sheet_ending(path)
    ending = path.suffix.lower()
    options = [] if ending == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    done, data = cv2.imencode(ending, sheet, options)
    if not done:
        raise OutputError(f"{path}: the sheet cannot be encoded")
    return write_bytes(path, data.tobytes())


def require_sheet_ending(path: Path) -> None:
    """Raises InvalidArgumentError unless a sheet can be written under this name."""
    if path.suffix.lower() not in SHEET_ENDINGS:
        raise InvalidArgumentError(f"{path}: a sheet is written as {', '.join(SHEET_ENDINGS)}")


def _require_persons(clip: PoseClip, persons: Sequence[int] | None) -> None:
    ids = clip.ids
    most = max(len(frame.result) if frame.result else 0 for frame in clip)
    known = list(range(most)) if ids is None else ids.tolist()
    for person in persons or ():
        if person not in known:
            kind = "places" if ids is None else "ids"
            raise InvalidArgumentError(
                f"there is no person {person} in the clip; its {kind} are "
                f"{', '.join(map(str, known))}"
            )


def _with_persons(frame: LoggedFrame, persons: Sequence[int] | None) -> LoggedFrame:
    result = frame.result
    if result is None or persons is None:
        return frame
    known = range(len(result)) if result.ids is None else result.ids.tolist()
    kept = [place for place, person in enumerate(known) if person in persons]
    return replace(frame, result=result.select(kept))


def _picture_size(clip: PoseClip) -> tuple[int, int]:
    """Returns (width, height) of the frames; where unknown, up to the farthest points."""
    results = [frame.result for frame in clip if frame.result is not None]
    for result in results:
        if result.image_size is not None:
            return result.image_size
    points = [result.keypoints.reshape(-1, 2) for result in results]
    xy = np.concatenate([np.zeros((1, 2), np.float32), *points])
    farthest = np.nanmax(xy, axis=0)
    width, height = (max(1, math.ceil(each)) for each in farthest.tolist())
    return width, height


def _columns(count: int, cell_wh: tuple[int, int], strip_px: int) -> int:
    def distance(columns: int) -> float:
        rows = -(-count // columns)
        aspect = columns * cell_wh[0] / (rows * (cell_wh[1] + strip_px))
        return abs(math.log(aspect / SHEET_ASPECT))

    return min(range(1, count + 1), key=distance)


def _pictures(
    video: str | Path | None, frames: Sequence[LoggedFrame], cell_wh: tuple[int, int]
) -> Iterator[UInt8Array | None]:
    """Yields the frames' pictures, small enough for their cells; None where there is none."""
    if video is None:
        yield from [None] * len(frames)
        return
    left = list(frames)
    while left:
        wanted = left[0].index
        with open_source(video, start=f"{wanted}f" if wanted else None) as source:
            if source.is_live:
                raise InputError(f"{source.name} is live, no clip")
            for item in source:
                if item.index == left[0].index:
                    shown = None if isinstance(item, DamagedFrame) else item.image_bgr
                    yield None if shown is None else _small(shown, cell_wh)
                    left.pop(0)
                if not left or left[0].index > item.index + FAR_FRAMES:
                    break
            else:
                raise InputError(
                    f"{source.name} has no frame {left[0].index}, of which there are poses: is it "
                    "the clip they were found in?"
                )


def _small(image_bgr: UInt8Array, cell_wh: tuple[int, int]) -> UInt8Array:
    """Returns a picture that just fits into a cell."""
    height, width = image_bgr.shape[:2]
    scale = min(cell_wh[0] / width, cell_wh[1] / height)
    size_wh = max(1, round(scale * width)), max(1, round(scale * height))
    mode = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image_bgr, size_wh, interpolation=mode), np.uint8)


def _cell(
    frame: LoggedFrame,
    picture: UInt8Array | None,
    cell_wh: tuple[int, int],
    usual_wh: tuple[int, int],
    settings: SheetSettings,
) -> UInt8Array:
    """Returns a frame's picture with its skeletons, in the middle of a cell."""
    width, height = cell_wh
    cell = np.full((height, width, 3), _CELL, np.uint8)
    result = frame.result
    if picture is None:
        size_wh = usual_wh if result is None or result.image_size is None else result.image_size
        scale = min(width / size_wh[0], height / size_wh[1])
        small = max(1, round(scale * size_wh[1])), max(1, round(scale * size_wh[0]))
        picture = np.full((*small, 3), _CELL, np.uint8)
    if result is not None:
        if result.image_size is None:
            result = replace(result, image_size=usual_wh)
        picture = _drawn(result, picture, settings)
    top, left = (height - picture.shape[0]) // 2, (width - picture.shape[1]) // 2
    cell[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return cell


def _drawn(result: PoseResult, picture: UInt8Array, settings: SheetSettings) -> UInt8Array:
    if settings.style == "overlay":
        return draw(result, picture, style="overlay", min_score=settings.min_score)
    size_wh = picture.shape[1], picture.shape[0]
    skeletons = draw(
        result, style="openpose", min_score=settings.min_score, size=size_wh, fit="stretch"
    )
    return np.where(skeletons.any(axis=2, keepdims=True), skeletons, picture)


def _caption(frame: LoggedFrame, frame_rate: float | None) -> str:
    words = [f"frame {frame.index}"]
    time_s = frame.time_s
    if time_s is None and frame_rate is not None:
        time_s = frame.index / frame_rate
    if time_s is not None:
        words.append(f"{time_s:.2f} s")
    if frame.result is None:
        words.append("damaged")
    else:
        count = len(frame.result)
        words.append("nobody" if not count else f"{count} person{'s'[count == 1 :]}")
    return ", ".join(words)


def _write_caption(strip: UInt8Array, text: str) -> None:
    """Writes a line, as large as the strip allows and no wider than it."""
    height, width = strip.shape[:2]
    (text_width, text_height), below = cv2.getTextSize(text, _FONT, 1.0, 1)
    scale = min(0.8 * height / (text_height + below), (width - 4) / text_width)
    baseline = round((height + scale * (text_height - below)) / 2)
    cv2.putText(strip, text, (2, baseline), _FONT, scale, _TEXT, 1, cv2.LINE_AA)
