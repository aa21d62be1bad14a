"""`.trc` marker files of biomechanics (OpenSim, Pose2Sim): one person, a line for each frame.

Markers are named as Pose2Sim's skeleton `COCO_133` and its OpenSim models name them; the roots
of hands, which have no name there, keep that of `dwpose_infer.keypoints.KEYPOINT_NAMES`. `Neck`
and `Hip`, the middles of shoulders and hips, are added. The frame of a file is the picture's plane:
X to the right, Y up from the picture's upper edge (so that it is negative), Z 0; in pixels, or in
metres where their size is given. Absent and uncertain points are empty cells.

What it does not hold: scores, boxes, the size of the picture and who the person is; the name of the
file says the latter.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from .. import keypoints as kp
from ..arrays import Float32Array, Float64Array
from ..errors import FormatError, InvalidArgumentError
from ..files.json_text import require, shortest_decimals
from ..openpose_layout import COCO_NAME_OF, DERIVED_FROM
from ..poses import Poses, PoseTable, unstack
from .dense import even_rows, from_points, points_of, seconds_of
from .format import Format

_POSE2SIM_FINGERS: Final = {
    "thumb": ("Thumb1", "Thumb", "Thumb3", "Thumb4"),
    "forefinger": ("Index", "Index2", "Index3", "Index4"),
    "middle_finger": ("Middle1", "Middle2", "Middle3", "Middle4"),
    "ring_finger": ("Ring1", "Ring2", "Ring3", "Ring4"),
    "pinky_finger": ("Pinky", "Pinky2", "Pinky3", "Pinky4"),
}
"""Names of the joints of fingers, base to tip, in Pose2Sim's `skeletons.COCO_133`."""

_POSE2SIM_FACE: Final = {
    "Jaw": 17,
    "EyebrowR": 5,
    "EyebrowL": 5,
    "Nose": 9,
    "REye": 6,
    "LEye": 6,
    "Mouth": 20,
}
"""Names of the 68 points of the face there, each followed by a number from 1."""

_MARKER_OF: Final[dict[str, str]] = {
    **{ours: theirs for theirs, ours in COCO_NAME_OF.items()},
    **dict(
        zip(
            kp.FACE_NAMES,
            (f"{name}{n + 1}" for name, count in _POSE2SIM_FACE.items() for n in range(count)),
            strict=True,
        )
    ),
    **{
        f"{side}_{finger}{joint + 1}": f"{side[0].upper()}{name}"
        for side in ("left", "right")
        for finger, names in _POSE2SIM_FINGERS.items()
        for joint, name in enumerate(names)
    },
}

MARKERS: Final[tuple[str, ...]] = (
    *(_MARKER_OF.get(name, name) for name in kp.KEYPOINT_NAMES),
    *("Neck", "Hip"),
)
"""Names of the markers, in order: the 133 points, then the two that are derived."""

_HEAD_LINES: Final = 5


def encode(
    table: PoseTable,
    *,
    min_score: float = 0.3,
    metres_per_pixel: float | None = None,
    frame_rate: float | None = None,
) -> bytes:
    """Returns the file of a clip with one person.

    Args:
        table: The frames.
        min_score: Points that score less are empty cells; the file has no scores.
        metres_per_pixel: Size of a pixel in the plane where the person moves; None writes pixels.
        frame_rate: Frames per second, where the frames' times are not known.

    Raises:
        InvalidArgumentError: There is no frame, or more than one person, or a value cannot be used.
    """
    points, ids = points_of(table, ".trc")
    if points.shape[1] > 1:
        who = "people" if ids is None else f"ids {', '.join(map(str, ids.tolist()))}"
        raise InvalidArgumentError(
            f"a .trc file holds one person, and this clip has several ({who}): track them and "
            'write a folder with dwpose_infer.formats.clip_files.open_clip(format="trc"), or '
            "select one"
        )
    if metres_per_pixel is not None and not metres_per_pixel > 0:
        raise InvalidArgumentError(f"metres_per_pixel is {metres_per_pixel!r}, expected above 0")
    times_s = seconds_of(table, frame_rate)
    assert table.frame_indices is not None
    _, rate = even_rows(table.frame_indices, times_s)
    places = _markers(points, min_score) * np.array([1, -1, 0], np.float32)
    if metres_per_pixel is not None:
        places *= np.float32(metres_per_pixel)
    unit = "px" if metres_per_pixel is None else "m"
    rate_text, count = f"{rate:.6g}", len(times_s)
    lines = [
        ["PathFileType", "4", "(X/Y/Z)", "poses.trc"],
        *[["DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units"]],
        [rate_text, rate_text, str(count), str(len(MARKERS)), unit],
        ["Frame#", "Time", *(text for name in MARKERS for text in (name, "", ""))],
        ["", "", *(f"{axis}{place + 1}" for place in range(len(MARKERS)) for axis in "XYZ")],
    ]
    lines[1] += ["OrigDataRate", "OrigDataStartFrame", "OrigNumFrames"]
    lines[2] += [rate_text, str(table.frame_indices[0]), str(count)]
    cells = shortest_decimals(places.reshape(count, -1)).tolist()
    for index, time_s, row in zip(
        table.frame_indices.tolist(), times_s.tolist(), cells, strict=True
    ):
        lines.append([str(index), repr(time_s), *("" if math.isnan(x) else repr(x) for x in row)])
    return "".join("\t".join(line) + "\n" for line in lines).encode()


def _markers(points: Float32Array, min_score: float) -> Float32Array:
    """(T, M, 3) x, y, 0 of the markers of one person, or of nobody; NaN where absent."""
    found = np.full((len(points), len(MARKERS), 3), np.nan, np.float32)
    if points.shape[1]:
        person = points[:, 0]
        certain = person[..., 2] >= min_score
        known = np.where(certain[..., None], person, np.float32(np.nan))
        found[:, : kp.NUM_KEYPOINTS] = known
        for name, derived in (("Neck", "Neck"), ("Hip", "MidHip")):
            left, right = DERIVED_FROM[derived]
            found[:, MARKERS.index(name)] = (known[:, left] + known[:, right]) / 2
    return found


def decode(data: bytes, *, origin: str) -> list[Poses]:
    """Returns the frames of a file; see `decode_clip`."""
    return unstack(decode_clip(data, origin=origin))


def decode_clip(data: bytes, *, origin: str) -> PoseTable:
    """Returns the frames of a file in pixels that has these markers, in any order.

    Points that are there have the score 1. Other markers are passed over.

    Raises:
        FormatError: It is no such file, or in metres.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FormatError(f"{origin}: not a .trc file in UTF-8: {error}") from error
    fits = len(lines) >= _HEAD_LINES and lines[0].startswith("PathFileType")
    require(fits, origin, "not a .trc file: it does not begin with PathFileType")
    settings = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=False))
    unit = settings.get("Units", "")
    require(unit == "px", origin, f"its unit is {unit!r}: only px can be poses of a picture")
    names = [name.strip() for name in lines[3].split("\t")[2::3]]
    places = {name: place for place, name in enumerate(names) if name}
    known = [(index, places[name]) for index, name in enumerate(MARKERS[:-2]) if name in places]
    require(bool(known), origin, "none of its markers is one of the 133 points")
    rows = [line.split("\t") for line in lines[_HEAD_LINES:] if line.strip()]
    require(bool(rows), origin, "a .trc file without frames")
    try:
        head = [(int(row[0]), float(row[1])) for row in rows]
        cells = np.array([_numbers(row[2:], len(names)) for row in rows]).reshape(-1, len(names), 3)
    except (ValueError, IndexError) as error:
        raise FormatError(f"{origin}: not a .trc file: {error}") from error
    points = np.full((len(rows), 1, kp.NUM_KEYPOINTS, 3), np.nan, np.float32)
    indices, columns = (list(each) for each in zip(*known, strict=True))
    found = cells[:, columns].astype(np.float32)
    points[:, 0, indices, 0], points[:, 0, indices, 1] = found[..., 0], -found[..., 1]
    points[:, 0, indices, 2] = np.where(np.isnan(found[..., 0]), np.nan, 1)
    return from_points(points, None, [index for index, _ in head], [time for _, time in head])


def _numbers(cells: list[str], markers: int) -> Float64Array:
    cells = [*cells, *[""] * (3 * markers - len(cells))][: 3 * markers]
    return np.array([float(cell.strip() or "nan") for cell in cells])


FORMAT: Final = Format(
    name="trc",
    ending=".trc",
    per="clip",
    lossless=False,
    description="marker files of biomechanics, one for each tracked person",
    encode=encode,
    decode=decode,
    decode_clip=decode_clip,
    of_clip="persons",
    clip_name="{stem}_trc",
    wholebody_only=True,
)
